from dit4sr_cli.core.words import as_reason


def test_reasons_are_one_line_and_short():
    assert as_reason(ValueError("no such\n  file")) == "no such file"
    long = as_reason(OSError("word " * 1000))
    assert len(long) <= 300
    assert long.endswith("word ...")
