"""What an owner leaves out of `probes` is what the instruments take by themselves."""

from __future__ import annotations

from dataclasses import fields

from memory_assets.config.language_model import ProbesSpec
from memory_assets.language.options import LanguageOptions
from memory_assets.language.preflight import Training
from memory_assets.language.signals import Sampling

ELSEWHERE = {"more_rates"}
"""Said by the gate."""


def test_defaults_are_those_of_the_instruments():
    assert ProbesSpec().options() == LanguageOptions()


def test_every_choice_of_the_instruments_can_be_written():
    asked = {f.name for kind in (LanguageOptions, Sampling) for f in fields(kind)}
    assert set(ProbesSpec.model_fields) == asked - ELSEWHERE - {"sampling"}
    training = ProbesSpec().training
    assert set(type(training).model_fields) == {f.name for f in fields(Training)}
