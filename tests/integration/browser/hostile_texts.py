"""Texts that a page must show as they are: markup, quotation, templates, turned directions, words without end."""

PLAIN = "db1:9100"
HOSTILE = {
    "markup": "</title></style><script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "quotes": "\"' onfocus=\"alert(1)\" autofocus='' `x` \\",
    "templates": "{{ 7*7 }}{% raw %}{# #}${7*7}<%= 7*7 %>",
    "entities": "&lt;b&gt; &amp;amp; &#x27; ]]> --> %3Cscript%3E",
    "right-to-left": "\u202e\u2067gnp.exe\u05e9\u05dc\u05d5\u05dd",
    "endless": "W" * 10_000,
}
"""By what is hostile in them."""
LINK = "javascript:alert(1)"


def as_shown(text: str) -> str:
    """What a page makes of a text: signs that turn the direction are spelled out, everything else stays."""
    return text.replace("\u202e", "⟨U+202E⟩").replace("\u2067", "⟨U+2067⟩")
