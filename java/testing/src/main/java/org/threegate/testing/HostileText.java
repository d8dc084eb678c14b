package org.threegate.testing;

import java.util.List;

/** Hostile names for tests: text that a program could mistake for markup or control characters. */
public final class HostileText {
  private static final int MEGABYTE = 1 << 20;

  /** Title that the scripts in these names give to a page, if they run. */
  public static final String CANARY = "pwned";

  private HostileText() {}

  /** Returns one name of each kind. */
  public static List<String> names() {
    return List.of(
        "<img src=x onerror=document.title='pwned'>",
        "</script><script>document.title='pwned'</script>",
        "<!--<script>",
        "]]><svg onload=document.title='pwned'>",
        "\"><svg onload=document.title='pwned'>",
        "' onmouseover='document.title=\"pwned\"",
        "&lt;img src=x onerror=document.title='pwned'&gt;",
        "<iframe srcdoc=\"<script>parent.document.title='pwned'</script>\">",
        "<a href=\"javascript:document.title='pwned'\">a</a>",
        "javascript:document.title='pwned'",
        "<style>*{display:none}</style>",
        "<base href=//evil.example><form action=//evil.example>",
        "{{constructor.constructor('document.title=1')()}}",
        "`${document.title='pwned'}`",
        "{a}{b}{c}{@[0]}",
        "{x|text}{marker0at3X|}",
        "\\u003cimg src=x onerror=document.title='pwned'\\u003e",
        "/*DATA*/ /*SHARED*/ $1 \\1",
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "\u202egnp.exe\u2066",
        "line\nline\rline\u2028line\u2029line\ttab",
        "\u0000\u001b[2J\u001b]0;pwned\u0007\u009b31m",
        "lone \ud83d surrogate",
        "emoji \ud83d\ude00 \u00e4\u0301",
        "| a | b |\n|---|---|\n[x](javascript:alert(1)) <b>*_`#",
        "=HYPERLINK(\"http://evil.example\")",
        "\ud83d\ude00".repeat(MEGABYTE / 2),
        "<".repeat(MEGABYTE));
  }
}
