"""make_expressions.py FILE COUNT SEED: renders random expressions with jinja2, as transformers configures it.

Writes FILE: {"context": ..., "cases": [[template, expected output, or null if it fails], ...]}.
"""
import copy
import json
import random
import re
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

CONTEXT = {
    "s": "Hello, World",
    "t": "  two words\n",
    "g": "naïve 😀 Straße",
    "k": "a.b.c.a",
    "n": 7,
    "i": -3,
    "f": 2.5,
    "b": True,
    "z": None,
    "l": [3, 1, 2, 1],
    "w": ["pear", "Apple", "fig", "apple"],
    "d": {"one": 1, "two": [1, 2], "items": {"x": None}, "Three": "drei"},
    "m": [
        {"role": "system", "content": "Be brief.", "n": 2},
        {"role": "user", "content": "What is 2 < 3?\n", "n": 1},
        {"role": "assistant", "content": "It's \"true\"", "tool_calls": [{"name": "f", "arguments": {"a": [1, 2.0]}}]},
    ],
    "e": [],
}
# Output that contains an address or depends on an unspecified order.
UNSPECIFIED = re.compile(r"<(generator|built-in|bound|function|Undefined|list_?reverse|reversed|filter|map|zip|class|range|dict_?|str|method)|object at|^range\(|range\(")
BEYOND = re.compile(r"\d{19,}")

LEAVES = {
    "text": ["s", "t", "g", "k", "''", "'a'", "'.'", "' '", "'x-Y z'", "'%s|%5.1f'", "'{}-{}'", "'1_000'", "'42.7'", "'\\n'", "'é\\u00df'"],
    "number": ["n", "i", "f", "0", "1", "2", "-1", "10", "0.5", "1e3", "b", "3.14159", "1e16", "1e-7"],
    "list": ["l", "w", "e", "m", "[1, 'a', none]", "(1, 2)", "[n, f]", "[[2, 'b'], [1, 'a']]", "range(4)|list", "m|map(attribute='role')|list", "d|list", "k.split('.')"],
    "dict": ["d", "m[0]", "m[2]", "{}", "{'a': 1, 'B': 2}", "{1: 'x', 2.5: none}", "dict(q=1)"],
    "any": ["z", "u", "b", "m[9]", "d.two", "d.missing", "d['items']", "m[1].content", "d.get('one')", "m[2].tool_calls[0].arguments"],
    "truth": ["b", "true", "false", "z"],
}
# The ways to write each kind of expression, one per line. $kind stands for another expression, «a¦b» for a or b.
WAYS = {
    "text": """
$text + $text
$text ~ $one
($text * «2¦0¦-1¦3»)
($text)[$index]
($text)[$slice]
($text).«upper¦lower¦title¦capitalize¦strip¦lstrip¦rstrip»()
($text).«strip¦lstrip¦rstrip¦removeprefix¦removesuffix»($text)
($text).replace($text, $text)
($text).replace($text, $text, «0¦1¦-1»)
($text).join($list)
($text).«center¦ljust¦rjust¦zfill»(«4¦9¦14¦15»)
($text).«center¦ljust¦rjust»(15, '*')
($one)|«upper¦lower¦title¦capitalize¦trim¦string¦e¦urlencode¦tojson¦center(15)¦center(20)»
($one)|tojson(«indent=2¦ensure_ascii=true¦sort_keys=true¦indent=0¦separators=(",", ":")¦indent=4, sort_keys=true¦true¦false, 1¦indent='--'»)
($text)|indent(«¦2¦2, true¦width=3, blank=true¦'> '»)
($text)|truncate(«5¦5, true¦4, false, '..'¦6, true, '..', 0¦9»)
($list)|join(«¦', '¦$text»)
m|join(' ', attribute='role')
($text)|replace($text, $text)
$text % «(1, 2.25)¦s¦n¦(f, n)¦d¦()»
'«%5d¦%-5d|¦%05d¦%+d¦%x¦%X¦%o¦%e¦%.3g¦%g¦%10.2f¦%s¦%r¦%%%d¦%.2s¦%c¦%#.3g¦% d¦%05.1f¦%i»' % $number
'«%5s¦%r¦%-7s|¦%.3s¦%c¦%d»' % $text
'«{:>8}¦{:<8}|¦{:^9}¦{:*^9}¦{:08.2f}¦{:,}¦{:+.1e}¦{:.3}¦{:x}¦{:%}¦{:_}¦{:08}¦{:g}¦{:c}¦{:b}¦{{{}}}¦{0}{0}¦{:=+6}¦{:,.2f}»'.format($number)
'«{:>8}¦{:^9}|¦{:*^9}¦{:.3}¦{!r}¦{!r:>12}¦{0[0]}¦{}{}¦{:d}¦{:{}}»'.format($text)
'«{0[role]}¦{0.role}¦{a}{}¦{0[n]}¦{0.content}»'.format($dict, a=1)
'%(one)s %(Three)5s' % $dict
($dict).get(«"role"¦"nope"¦"one", 2¦n»)
($list)|«first¦last»
($text)|reverse
($text)|format($one)
""",
    "number": """
($number «+¦-¦*¦/¦//¦%» $number)
($number ** «2¦0¦-1¦3»)
(f ** «0.5¦-1.5»)
«-¦+»$number
($one)|«length¦count¦int¦float»
($number)|abs
($number)|round(«¦1¦2¦0¦-1¦1, "floor"¦1, "ceil"¦0, "ceil"»)
($one)|int(«7¦0, 16¦default=5, base=2»)
($list)|sum
m|sum(«attribute="n"¦start=2¦"n", 1»)
($list)|«min¦max»
($text).«find¦rfind¦count¦index»($text)
($list).«index¦count»($one)
($text)|wordcount
m|«min¦max»(attribute='role')
""",
    "list": """
($list + $list)
($list * 2)
($list)[$slice]
($list)|list
($list)|reverse|list
($list)|sort«¦(true)¦(case_sensitive=true)¦(attribute="role")¦(attribute="0")¦(attribute="n,role")¦(attribute=1, reverse=true)»
($dict)|dictsort«¦(true)¦(by="value")¦(reverse=true)»
($dict).«keys¦values¦items»()
($dict).«keys¦values¦items»()|list
($dict)|items|list
($list)|unique«¦(true)¦(attribute='role')»|list
($list)|«select¦reject»«¦("string")¦("odd")¦("gt", 1)¦("in", w)¦("defined")¦("mapping")»|list
m|«selectattr¦rejectattr»(«"role", "equalto", "user"¦"tool_calls", "defined"¦"n"¦"n", "undefined"¦"tool_calls.0.name"¦"role", "in", ["user", "tool"]»)|list
($list)|map(«"upper"¦attribute="role"¦attribute="n", default=0¦"string"¦attribute=0¦"default", 1¦"replace", "a", "b"¦"length"¦attribute="tool_calls.0.arguments"»)|list
($list)|batch(«2¦3, 0¦2, none»)|list
($list)|slice(«2¦3, 0»)|list
m|groupby(«"role"¦"n"¦"n", default=5¦attribute="content"»)
($text).«split¦rsplit»(«¦$text¦'.', 1¦none, 1¦maxsplit=1¦" "»)
($text).splitlines(«¦true»)
($text).«partition¦rpartition»($text)
($text)|list
[$one, $one]
($one, $one)
[$one,]
""",
    "dict": """
{'a': $one, $text: $one}
dict($dict, zz=$one)
{$number: $one, $text: $one}
($list)[$index]
""",
    "truth": """
$one «==¦!=¦==¦<¦<=¦>¦>=» $one
$number «<¦>=» $number «<=¦!=» $number
$one «in¦not in» «$list¦$text¦$dict»
not $one
($one «and¦or» $one)
$one is «¦not »«defined¦undefined¦none¦string¦mapping¦iterable¦sequence¦number¦integer¦float¦boolean¦true¦false»
$one is «¦not »«even¦odd¦divisibleby 3¦divisibleby(2)¦eq 1¦ne(n)¦gt 2¦ge(1)¦lt 3¦le 0¦in l¦sameas none¦sameas b¦lower¦upper¦callable»
($text).«isdigit¦isalpha¦isspace¦isnumeric¦isalnum¦isupper¦islower»()
($text).«startswith¦endswith»(«$text¦("a", "He", "d")»)
$text «<¦>¦<=¦==» $text
$list «<¦==¦!=» $list
""",
    "any": """
($one)|default($one)
($one)|d($one, true)
($one).«role¦one¦x¦content¦append¦get»
($one)[$one]
$one or $one
$one and $one
""",
}
STATEMENTS = """
{% for x in $list %}{{ loop.index }}{{ x }}{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}
{% for x in $one if x %}[{{ x }}|{{ loop.length }}|{{ loop.revindex }}|{{ loop.previtem }}|{{ loop.nextitem }}]{% endfor %}
{% for a, b in $list %}{{ a }}={{ b }};{% endfor %}
{% for key, value in ($dict).items() %}{{ key }}={{ value|tojson }}{{ loop.cycle('a', 'b') }}{% endfor %}
{% set v = $one %}{{ v }}{% set v %}  <{{ v }}> {% endset %}↵  {%- if v -%}  [{{ v|trim }}] {% endif %}
{% macro f(a, b=$one, c=a) %}({{ a }} {{ b }} {{ c }}{{ varargs }}){% endmacro %}{{ f(1) }}{{ f($one, c=2) }}{{ f(1, 2, 3, 4) }}
{% macro f(a) %}{{ a }}{{ kwargs|tojson }}{% endmacro %}{{ f(1, q=$one) }}{{ f(*$list) }}{{ f(**$dict) }}
{% set ns = namespace(x=$one, n=0) %}{% for y in l %}{% set ns.n = ns.n + y %}{% if loop.index == 3 %}{% break %}{% endif %}{% set ns.x = $one %}{% endfor %}{{ ns.x }} {{ ns.n }}
↵  {% if $one %}↵ a↵  {% elif $one %}↵ b↵  {%+ else +%}↵ c↵ {% endif %}↵↵{# note -#}  end↵
{% with q = $one, p = 2 %}{{ q }}{{ p }}{% endwith %}{{ q is defined }}{% filter upper|trim %} {{ $one }} {% endfilter %}
{% generation %}{% set r = $one %}{{ r }}{% endgeneration %}{{ r is defined }}{% raw %}{{ {% x %} }}{% endraw %}
{% macro g(v) %}{{ caller(v) }}{% endmacro %}{% call(x) g($one) %}<{{ x }}>{% endcall %}
{% for x in [[1, [2]], [3]] recursive %}{{ loop.depth }}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{{ loop.changed($one) }}{% endif %}{% endfor %}
{% for x in $list %}{% if x is odd %}{% continue %}{% endif %}{{ x }}{% set s = x %}{% endfor %}{{ s }}
{% set a, b = $list %}{{ a }}{{ b }}{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('; ') %}{{ j() }}{{ j() }}
"""


def expanded(text, random_, depth):
    text = re.sub("«([^«»]*)»", lambda found: random_.choice(found[1].split("¦")), text)

    def part(found):
        kind = found[1]
        if kind == "index":
            return random_.choice(["0", "1", "2", "-1", "3", "-2", "5", "none", "n"])
        if kind == "slice":
            bounds = ["", "0", "1", "2", "-1", "3", "-2", "-4", "100", "-100", "none"]
            return ":".join(random_.choice(bounds) for _ in range(2)) + random_.choice(["", ":", ":1", ":-1", ":2", ":-2"])
        return expression(random_, depth - 1, "" if kind == "one" else kind)

    return re.sub(r"\$(\w+)", part, text)


def expression(random_, depth, kind=""):
    if not kind or random_.random() < 0.05:
        kind = random_.choice(list(LEAVES))
    if depth <= 0:
        return random_.choice(LEAVES[kind])
    if random_.random() < 0.08:
        return expanded(f"(${kind} if $truth else ${kind})", random_, depth)
    return expanded(random_.choice(WAYS[kind].strip().split("\n")), random_, depth)


def main():
    path, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random_ = random.Random(seed)
    cases = []
    seen = set()
    failed = 0
    while len(cases) < count:
        if random_.random() < 0.25:
            template = expanded(random_.choice(STATEMENTS.strip().split("\n")), random_, 2).replace("↵", "\n")
        else:
            template = "{{ " + expression(random_, random_.choice([1, 1, 2, 2, 3])) + " }}"
        if template in seen:
            continue
        seen.add(template)
        try:
            expected = _compile_jinja_template(template).render(**copy.deepcopy(CONTEXT))
        except Exception:
            expected = None
            failed += 1
            if failed > len(cases) / 3:
                continue
        if expected is not None and (UNSPECIFIED.search(expected) or BEYOND.search(expected) or len(expected) > 2000):
            continue
        cases.append([template, expected])
    with open(path, "w", encoding="utf-8") as file:
        lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
        file.write('{"context": ' + json.dumps(CONTEXT) + ',\n"cases": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
