"""Words of captions as the tokenizer of the Penn Treebank cuts them, lower-cased and without punctuation.

Captions are scored on the tokens of Stanford's PTBTokenizer (CoreNLP 3.4.1, `-lowerCase -preserveLines`) as
pycocoevalcap 1.2 calls it. That one needs Java; this one gives the same tokens, as far as both were fed with text:
`tests/evaluate/scorers/ptb_tokens.json` holds hard captions and what the other made of them.

Two things are left out on purpose. Each caption stands alone: there a period behind a single letter at the end depends
on the first word of the next caption. And line breaks of any kind are spaces: there some of them shift all captions
that follow.
"""

from __future__ import annotations

import re
import unicodedata

_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""What counts as punctuation. The published list has brackets, too, but in upper case: so they stay."""

# Signs that the rules below tell apart; of all others they only see what kind they are, by one sign for each.
_LETTER, _MARK, _SYMBOL, _NOTHING, _BLANK = "é", "\u0300", "©", "\x7f", "\t"
_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_TOLD_APART = (
    *map(chr, range(0x20, 0x7F)),
    *"\xa0\xad\x80\x91\x92\x93\x94\x96\x97¡¢£¤¥«»¿²³¹¼½¾\u058a٫٬",
    *"\u2010\u2011–—―‘’‚‛“”„‟…‹›⁄⁰⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉₊₋₠€⅓⅔⅛⅜⅝⅞、。",
)


_SYMBOLS = """
    a1-bf d7 f7 37e 387 589 5be 5c0 5c3 5c6 5f3-5f4 600-603 606-60c 614 61b 61e-61f 66a 66d 6d4 700-70d 7f6-7f8
    964-965 e3f e4f 1fbd 2016-2017 2020-2023 2030-2038 203b 203e-2042 2044 207a-207e 208a-208e 20a4 2100-2101
    2103-2106 2108-2109 2114 2116-2118 211e-2123 2125 2127 2129 212e 213a-213b 2140-2144 214a-214d 214f 2155-215e
    2190-2bff 3001-3002 3012 30fb ff01-ff0f ff1a-ff20 ff3b-ff40 ff5b-ff65 ffe0-ffe1 ffe5-ffe6
"""
_LAST_MARK = 0x0ECD
_SYMBOL_CODES = frozenset(
    code
    for first, _, last in (entry.partition("-") for entry in _SYMBOLS.split())
    for code in range(int(first, 16), int(last or first, 16) + 1)
)


class _Kinds(dict[int, str]):
    """Character code -> the sign that stands for it."""

    def __missing__(self, code: int) -> str:
        self[code] = kind = _name_kind(chr(code))
        return kind


def _name_kind(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\u3000" or "\u2000" <= character <= "\u200a":
        return _BLANK
    if ord(character) > 0xFFFF:
        return _NOTHING
    if character.isalpha() or category == "Nd":
        return _LETTER
    if ord(character) in _SYMBOL_CODES:
        return _SYMBOL
    is_mark = category in ("Mn", "Mc") or "\u02c2" <= character <= "\u02ff"
    return _MARK if is_mark and ord(character) <= _LAST_MARK else _NOTHING


_KINDS = _Kinds({ord(character): character for character in _TOLD_APART} | {ord(sign): " " for sign in _BREAKS})

_WRITTEN = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_WRITTEN |= {"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
_WRITTEN |= {"¢": "cents", "£": "#", "¤": "$", "₠": "$", "€": "$", "\x80": "$", "…": "...", "\xad": "-"}
_WRITTEN |= dict.fromkeys(("\x96", "\x97", "–", "—", "―", "--", "---", "----", "&MD;", "&mdash;", "&ndash;"), "--")
_WRITTEN |= dict.fromkeys(("&quot;", '"'), "''")
_QUOTES = str.maketrans(
    {"‘": "`", "‛": "`", "‹": "`", "\x91": "`", "’": "'", "›": "'", "\x92": "'"}
    | dict.fromkeys("“«\x93", "``")
    | dict.fromkeys("”»\x94", "''")
)
_BRACKETS = str.maketrans({"(": "-lrb-", ")": "-rrb-"})

# Abbreviations keep their period. These also do where a sentence ends or other letters touch the period ...
_ENDING = """
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri ala ariz calif colo conn ct
    dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn tenn va vt wis wisc wyo inc co cos corp ppte
    ppty pptes pptys pte ptes pty ptys ltd plc bancorp bhd assn univ intl sys jr sr bros ph\\.d ed\\.d esq blvd rd
    al est etc ext bldg rt seq sq tel
"""
_STATES = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
# ... and these only where they stand alone, or before a number.
_ALONE = """
    mr mrs ms dr drs prof profs sen sens rep reps atty attys col gen messrs gov govs adm rev maj sgt cpl pvt capt st ste
    ave pres lieut lt hon brig comdr cmdr pfc spc supt supts det cf ft mt ph wm mme mlle msgr alex adj adv asst assoc
    cie dept elec ens insp invt jos mfg mtg natl sfc treas vs
"""
_NUMBERED = "no nos p pp fig figs art ca op prop"
# A single letter gives its period away where one of these opens the next sentence.
_OPENING = """
    A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More Mr\\. Ms\\.
    Now Once One Other Our She Since So Some Such That The Their Then There These They This We What When While Yet You
"""


def _any_of(*lists: str) -> str:
    return "|".join(sorted(" ".join(lists).split(), key=len, reverse=True))


_A = "(?:['’\x92]|&apos;)"
_Q = "(?:['’\x92`\x91‘‛]|&apos;)"
_L = f"A-Za-z{_LETTER}{_MARK}\xad"
_CLITIC = "(?:[msdMSD]|re|ve|ll|RE|VE|LL)"
_WORD = f"[{_L}][{_L}0-9]*(?:[.!?][{_L}][{_L}0-9]*)*"
_INITIALS = r"(?:[A-Za-z](?:\.[A-Za-z])+|(?:Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(?:U\.K|U\.S\.S\.R))"
_COMPOUND = rf"[A-Za-z0-9][A-Za-z0-9.,\xad]*(?:-(?:{_INITIALS}\.|[A-Za-z0-9\xad]+))+"
_ELIDED = f"(?:[dDoOlL]{_Q}[A-Za-z{_LETTER}0-9])?[A-Za-z{_LETTER}0-9]+"
_JOINED = f"{_ELIDED}(?:[-_\u058a\u2010\u2011]{_ELIDED})*"
_CAPITALS = "[A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+"
_NAME = "[A-Za-z][A-Za-z0-9_:.-]*"
_VALUE = r"""(?:'[^']*'|"[^"]*")"""
_TAG = f"<(?:[!?][A-Za-z-][^>]*|/{_NAME}|{_NAME}(?: +{_NAME}(?: *= *{_VALUE})?)*(?: *(?=/|>)/?)?) *>"
_OPENED = rf"[ {_BLANK}\xa0]+(?:{_any_of(_OPENING, _OPENING.upper())}|{_TAG})[ {_BLANK}\xa0\n]"
_PHONE = (
    r"(?:\([0-9]{2,3}\)[ \xa0]?|(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0])[0-9]{3,4}[- \xa0]?[0-9]{3,5}"
    r"|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"
)
_EXTENSION = _any_of(
    """bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl png ppt ps py sql
    tar txt wav x xml zip"""
)
_NO_HOST = r""" \t\n"`'<>|!?(){},-_$"""  # the comma and what follows it are a range: it ends before small letters
_NO_MAIL = r""" \t\n"<>|()\xa0{}"""
_ADDRESS_END = r"""[^ \t\n"<>|()]+[^ \t\n"<>|.!?(){},-]"""

# A rule is what a token may begin with, and the token (the first group) with what must follow it. The longest match
# counts, what follows included; of equal ones the first. A caption ends with a line break.
_RULES = (
    ("[cC]", r"((?i:can))(?i:not)"),
    ("[gGwW]", r"((?i:gon|wan))(?i:na)"),
    ("[gG]", r"((?i:got))(?i:ta)"),
    ("[lLgG]", r"((?i:lem|gim))(?i:me)"),
    ("'", r"('[tT])(?:[iI][sS]|[wW][aA][sS])"),
    ("<", f"({_TAG})"),
    ("[&\x96\x97–—―]", "(&(?:MD|mdash|ndash);|[\x96\x97–—―])"),
    ("&", "(&(?i:amp);|&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);|&(?:quot|apos);)"),
    (f"[{_L}]", f"({_WORD}){_A}{_CLITIC}"),
    ("[A-Za-z]", f"([A-Za-z]*[A-MO-Za-mo-z]\xad*)(?:n{_A}[tT]|N{_A}T)"),
    (f"[{_L}]", f"({_WORD})"),
    ("['’\x92]", rf"('[nN](?:{_A}|(?=[ \n]))|[’\x92][nN]{_A}?)"),
    ("['’\x92&]", rf"({_A}(?:em|[2-9]0s|till?|cause|[0-9]{{2}}(?=[ \n])))"),
    ("[lLdDjJ]", f"([lLdDjJ]{_A})"),
    ("[DsoC]", f"(Dunkin{_A}|somethin{_A}|ol{_A}|C{_A}mon)"),
    (f"[A-Za-z{_LETTER}]", f"([A-Za-z{_LETTER}]+[aeiouyAEIOUY]{_Q}[aeiouA-Z][A-Za-z{_LETTER}]*)"),
    ("[A-HJ-XZn]", f"([A-HJ-XZn]{_Q}[A-Za-z{_LETTER}]{{2,}})"),
    ("[CcpaS]", r"(Cap'n|c'est|pro-|anti-|C\.D\.s|S(?:&|&amp;)P-500|S(?:&|&amp;)Ls)"),
    ("[CcFf]", r"([CcFf]#|[Cc]\+\+)"),
    ("[cnesl]", r"(cont'd\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)"),
    ("[yY]", f"([yY]{_A})[A-Za-z{_LETTER}]"),
    ("h", f"(https?://{_ADDRESS_END})"),
    ("w", rf"""(www\.(?:[^ \t\n"<>|.!?(){{}},]+\.)+[a-zA-Z]{{2,4}}(?:/{_ADDRESS_END})?)"""),
    (f"[^{_NO_HOST}]", rf"((?:[^{_NO_HOST}]+\.)+(?:com|net|org|edu)(?:/{_ADDRESS_END})?)"),
    ("[A-Za-z0-9<&]", rf"((?:<|&lt;)?[A-Za-z0-9][^{_NO_MAIL}]*@(?:[^.{_NO_MAIL}]+\.)*[^.{_NO_MAIL}]+(?:>|&gt;)?)"),
    ("[@#]", f"(@[A-Za-z_][A-Za-z_0-9]*|#[A-Za-z{_LETTER}]+)"),
    ("['’\x92&]", f"({_A}{_CLITIC})[^A-Za-z]"),
    ("[’\x92]", f"([’\x92]{_CLITIC})"),
    ("[nN]", f"(n{_A}[tT]|N{_A}T)[^A-Za-z]"),
    ("[0-9]", "([0-9]{1,2}[-/][0-9]{1,2}[-/][0-9]{2,4})"),
    (r"[-+0-9.,:\xad٫٬]", r"([-+]?(?:[0-9]*(?:[.,:\xad٫٬][0-9]+)+|[0-9]+))"),
    ("[⁺⁻₊₋²³¹⁰⁴-⁹₀-₉]", "([⁺⁻₊₋]?(?:[²³¹⁰⁴-⁹]+|[₀-₉]+))"),
    ("[0-9]", r"((?:[0-9]{1,4}[- \xa0])?[0-9]{1,4}(?:\\?/|⁄)[0-9]{1,4})"),
    ("[¼½¾⅓⅔⅛⅜⅝⅞]", "([¼½¾⅓⅔⅛⅜⅝⅞])"),
    ("-", "(-(?:RRB|LRB|RSB|LSB|RCB|LCB)-)"),
    ("[A-Z$#]", r"([A-Z]*\$|#)"),
    ("[¢£¤¥\x80₠€]", "([¢£¤¥\x80₠€])"),
    ("[A-Za-z]", rf"((?:(?i:{_any_of(_ENDING)})|{_any_of(_STATES, _STATES.upper())})\.)[\s\S]{{0,2}}"),
    ("[A-Za-z]", rf"((?i:{_any_of(_ALONE)})\.)"),
    ("[A-Za-z]", rf"([A-Za-z])\.{_OPENED}"),
    ("[A-Za-z]", r"([A-Za-z]\.)"),
    ("[A-Za-z]", rf"({_INITIALS}\.)"),
    ("[A-Za-z]", rf"((?i:{_any_of(_NUMBERED)})\.)[ {_BLANK}\xa0]?[0-9]"),
    (f"[{_L}0-9]", rf"((?:[{_L}0-9]+\.)+(?i:{_EXTENSION}))[ {_BLANK}\xa0\n.?!,]"),
    (f"[{_L}0-9]", rf"((?:{_COMPOUND}|{_WORD}|{_JOINED}|{_CAPITALS})\.)[,;:、]"),
    ("[(+0-9]", f"({_PHONE})"),
    ("[<>:;=]", r"([<>]?[:;=][-o*']?[()DPdpO\\{@|[\]])[^A-Za-z0-9]"),
    (r"[-^x=~<>'(]", r"([-^x=~<>']_[-^x=~<>']|\([-^x=~<>'][_.]?[-^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\))"),
    (r"[][(){}<>]", r"([][(){}]|<{1,2}|>{1,2})"),
    ("-", "(-+)"),
    ("[.…]", r"(\.{3,5}|(?:\.[ \xa0]){2,4}\.|…)"),
    ("[@#_]", "(@+|#+|_+)"),
    (r"[*\\]", r"(\*+|(?:\\\*){1,3})"),
    ("[,;:、.¡¿。=/\\\\]", "([,;:、.¡¿。=/\\\\])"),
    ("[!?]", "([!?]+)"),
    ("[A-Za-z0-9]", f"({_COMPOUND})"),
    ("[A-Z]", f"({_CAPITALS})"),
    ("[A-Za-z0-9]", r"([A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2})"),
    (f"[A-Za-z{_LETTER}0-9]", f"({_JOINED})"),
    ("""["']""", """('{1,2}|")"""),
    ("[`‘’‚‛“”„‟‹›«»\x91-\x94]", "([`‘’‚‛“”„‟‹›«»\x91-\x94]{1,2})"),
    (f"[%&~^|+⁄⁺⁻₊₋{_SYMBOL}]", f"([%&~^|+⁄⁺⁻₊₋{_SYMBOL}])"),
)

_SPLIT = {"cannot": ("can", "not"), "gonna": ("gon", "na"), "wanna": ("wan", "na"), "gotta": ("got", "ta")}
_SPLIT |= {"lemme": ("lem", "me"), "gimme": ("gim", "me")}
_CLITICS = frozenset({"m", "s", "d", "re", "ve", "ll"})
_EASY_CAPTION = re.compile("[A-Za-z]+(?:,? +[A-Za-z]+)*( *[.!])? *")
_EASY_WORD = re.compile("([A-Za-z]+)[ \n]")
_LETTERS = re.compile("[a-z]+")
_KEPT = frozenset(f"{_ENDING} {_STATES.lower()} {_ALONE} {_NUMBERED}".split())
_FARTHEST = 250  # signs that a rule looks at, so that the time for a very long caption grows with its length
_by_first: dict[str, tuple[re.Pattern[str], ...]] = {}


def tokenize(caption: str) -> str:
    """The tokens of a caption with spaces between them.

    Example:
        >>> tokenize("A man's dog can't run (twice) at 6:40PM in the U.S., but it's happy!")
        "a man 's dog ca n't run -lrb- twice -rrb- at 6:40 pm in the u.s. but it 's happy"
    """
    if caption.isascii() and _EASY_CAPTION.fullmatch(caption):
        words = _LETTERS.findall(caption.lower())
        if _SPLIT.keys().isdisjoint(words) and len(words[-1]) > 1 and words[-1] not in _KEPT:
            return " ".join(words)
    return " ".join([token for token in cut(caption) if token not in _DROPPED])


def cut(caption: str) -> list[str]:
    """All tokens of a caption, punctuation included."""
    text = f"{caption}\n".replace("&nbsp;", _NOTHING)
    kinds = text.translate(_KINDS)
    tokens: list[str] = []
    start, end = 0, len(text) - 1
    while start < end:
        if easy := _EASY_WORD.match(kinds, start):
            word = easy[1].lower()
            tokens += _SPLIT.get(word, (word,))
            start = easy.end()
            continue
        stop = _find_end(kinds, start)
        if stop > start:
            tokens.append(_write(text[start:stop]))
        start = max(stop, start + 1)
    if tokens:
        tokens[-1] = tokens[-1].rstrip()
    return tokens


def _find_end(kinds: str, start: int) -> int:
    """Where the token ends that begins here; here, where none does."""
    first = kinds[start]
    if first not in _by_first:
        _by_first[first] = tuple(re.compile(rule) for begin, rule in _RULES if re.match(begin, first))
    longest, stop = 0, start
    for pattern in _by_first[first]:
        if (match := pattern.match(kinds, start, start + _FARTHEST)) and match.end() > longest:
            longest, stop = match.end(), match.end(1)
    return stop


def _write(token: str) -> str:
    """A token as it is printed."""
    if token in _WRITTEN:
        return _WRITTEN[token]
    if not token.strip("`‘’‛“”‹›«»'\x91\x92\x93\x94"):
        return token.translate(_QUOTES)
    if token[0] in "'’\x92" and token[1:].lower() in _CLITICS:
        token = "'" + token[1:]
    elif len(token) == 3 and token[0] in "nN" and token[1] in "'’\x92":
        token = "n't"
    if token[0] == "." and not token.strip(". \xa0"):
        return "..." if len(token) > 1 else "."
    if not re.match("<[^:;=]", token) and ("(" in token or ")" in token):
        token = token.translate(_BRACKETS)
    if "@" not in token:
        token = token.replace("&amp;", "&")
    return token.replace("\xad", "").replace("&apos;", "'").replace(" ", "\xa0").lower()
