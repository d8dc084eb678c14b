package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.rl.verifier.Token.Kind;

/**
 * Splits answers into tokens. LaTeX, Unicode and program syntax of the same thing give the same
 * tokens. Only marks without a meaning are left out: delimiters of formulas, styles, sizes.
 * Everything else is a token, if only an unknown one.
 */
final class Lexer {
  private static final int DEEPEST = 20;
  private static final Pattern NUMBER =
      Pattern.compile("(?:\\d+(?:\\.\\d+)?|\\.\\d+)(?:[eE][-+]?\\d{1,3}(?![\\w.]))?");
  private static final Pattern COLUMNS = Pattern.compile("\\s*\\{[lcr|@{}\\s]*\\}");
  private static final Pattern ROW_SPACE = Pattern.compile("\\[-?[0-9.]+(?:pt|em|ex|mm|cm)\\]");
  private static final Pattern WORDS = Pattern.compile("[\\p{L} \u00a0.,'/\\-\u2019]*");
  private static final Pattern CIRCLE = Pattern.compile("\\s*(?:\\{\\s*\\\\circ\\s*\\}|\\\\circ)");

  private static final Pattern TIGHT_COMMA = Pattern.compile(",\\s*\\\\!\\s*");

  private static final Set<String> STYLES =
      Set.of(
          "displaystyle",
          "textstyle",
          "scriptstyle",
          "scriptscriptstyle",
          "limits",
          "nolimits",
          "rm",
          "bf",
          "it",
          "sf",
          "tt",
          "cal",
          "strut",
          "mathstrut",
          "left",
          "right",
          "middle",
          "big",
          "Big",
          "bigg",
          "Bigg",
          "bigl",
          "bigr",
          "Bigl",
          "Bigr",
          "biggl",
          "biggr",
          "Biggl",
          "Biggr",
          "bigm",
          "mathopen",
          "mathclose",
          "mathord",
          "mathbin",
          "mathrel",
          "boxed",
          "fbox",
          "framebox",
          "bold",
          "mathbf",
          "mathit",
          "boldsymbol",
          "bm",
          "mathsf",
          "mathtt",
          "mathnormal",
          "underline",
          "centering",
          "nobreak",
          "relax");
  private static final Set<String> SPACES =
      Set.of(
          "quad",
          "qquad",
          "thinspace",
          "enspace",
          "enskip",
          "medspace",
          "thickspace",
          "negthinspace",
          "space",
          "nobreakspace",
          "newline");
  private static final Set<String> TEXTS =
      Set.of(
          "text",
          "textnormal",
          "textrm",
          "textbf",
          "textit",
          "textsf",
          "texttt",
          "textup",
          "textsc",
          "mbox",
          "hbox",
          "emph",
          "mathrm",
          "operatorname",
          "rmfamily");
  private static final Set<String> MATRICES =
      Set.of(
          "matrix",
          "pmatrix",
          "bmatrix",
          "Bmatrix",
          "smallmatrix",
          "array",
          "psmallmatrix",
          "bsmallmatrix");

  private static final Map<String, String> SYMBOLS = new HashMap<>();
  private static final Map<Character, String> CHARACTERS = new HashMap<>();

  private static void symbols(String symbol, String... commands) {
    for (String command : commands) {
      SYMBOLS.put(command, symbol);
    }
  }

  private static void characters(String replacement, String characters) {
    for (char character : characters.toCharArray()) {
      CHARACTERS.put(character, replacement);
    }
  }

  static {
    symbols("*", "cdot", "times", "ast", "cdotp");
    symbols("/", "div", "slash");
    symbols("\u2264", "le", "leq", "leqslant", "leqq");
    symbols("\u2265", "ge", "geq", "geqslant", "geqq");
    symbols("<", "lt");
    symbols(">", "gt");
    symbols("=", "equals");
    symbols("\u2260", "ne", "neq");
    symbols("\u2248", "approx", "simeq", "thickapprox", "doteq");
    symbols("\u00b1", "pm");
    symbols("\u2213", "mp");
    symbols("\u222a", "cup", "bigcup");
    symbols("\u2229", "cap", "bigcap");
    symbols("\u2208", "in");
    symbols("\u2216", "setminus", "backslash", "smallsetminus");
    symbols("\u2205", "emptyset", "varnothing");
    symbols("|", "vert", "lvert", "rvert", "mid");
    symbols(":", "colon");
    symbols("'", "prime");
    symbols("\u00b0", "degree", "textdegree");
    symbols(Token.OPEN_SET, "lbrace");
    symbols(Token.CLOSE_SET, "rbrace");
    symbols("[", "lbrack");
    symbols("]", "rbrack");
    symbols("\u2228", "lor", "vee");
    symbols("\u2227", "land", "wedge");
    symbols("\u20ac", "euro");
    symbols("\u00a3", "pounds");
    characters("*", "\u00d7\u00b7\u22c5\u2217*");
    characters("/", "\u00f7\u2044\u2215/");
    characters("-", "\u2212\u2013\u2010\u2011-");
    characters("\u2264", "\u2264\u2a7d");
    characters("\u2265", "\u2265\u2a7e");
    characters("\u2248", "\u2248\u2243");
    characters("\u2216", "\u2216");
    characters("\u2205", "\u2205\u00d8");
    characters("'", "'\u2032\u2019");
    characters("\u00b0", "\u00b0\u00ba");
    characters(",", ",\uff0c\u3001");
    characters(";", ";\uff1b");
    characters(":", ":\uff1a\u2236");
    characters("(", "(\uff08");
    characters(")", ")\uff09");
    characters("=", "=\uff1d");
    for (char same :
        "+^_[]{}|<>!%.&\u2260\u00b1\u2213\u222a\u2229\u2208\u20ac\u00a3\u00a5\u2228\u2227"
            .toCharArray()) {
      CHARACTERS.put(same, String.valueOf(same));
    }
  }

  private static final Map<Character, String> GREEK =
      Map.ofEntries(
          Map.entry('\u03b1', "alpha"),
          Map.entry('\u03b2', "beta"),
          Map.entry('\u03b3', "gamma"),
          Map.entry('\u03b4', "delta"),
          Map.entry('\u03b5', "epsilon"),
          Map.entry('\u03b8', "theta"),
          Map.entry('\u03bb', "lambda"),
          Map.entry('\u03bc', "mu"),
          Map.entry('\u00b5', "mu"),
          Map.entry('\u03c0', "pi"),
          Map.entry('\u03c1', "rho"),
          Map.entry('\u03c3', "sigma"),
          Map.entry('\u03c4', "tau"),
          Map.entry('\u03c6', "phi"),
          Map.entry('\u03d5', "phi"),
          Map.entry('\u03c9', "omega"),
          Map.entry('\u221e', "infty"),
          Map.entry('\u221a', "unicode-sqrt"),
          Map.entry('\u2220', "angle"),
          Map.entry('\u230a', "lfloor"),
          Map.entry('\u230b', "rfloor"),
          Map.entry('\u2308', "lceil"),
          Map.entry('\u2309', "rceil"),
          Map.entry('\u211d', "mathbb:R"),
          Map.entry('\u2124', "mathbb:Z"),
          Map.entry('\u2115', "mathbb:N"),
          Map.entry('\u211a', "mathbb:Q"),
          Map.entry('\u2102', "mathbb:C"));
  private static final String SUPERSCRIPTS =
      "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
  private static final Map<Character, String> FRACTIONS =
      Map.of(
          '\u00bd', "12", '\u00bc', "14", '\u00be', "34", '\u2153', "13", '\u2154', "23", '\u215b',
          "18", '\u2155', "15");

  private final String text;
  private final int depth;
  private final List<Token> tokens = new ArrayList<>();
  private int at;
  private boolean spaced;

  private Lexer(String text, int depth) {
    this.text = text;
    this.depth = depth;
  }

  /** Returns the tokens of an answer. */
  static List<Token> tokens(String text) {
    List<Token> tokens = new Lexer(text, 0).run();
    tokens = joined(tokens);
    while (!tokens.isEmpty() && isPunctuation(tokens.get(tokens.size() - 1))) {
      tokens.remove(tokens.size() - 1);
    }
    return tokens;
  }

  private static boolean isPunctuation(Token token) {
    return token.is(".") || token.is(",") || token.is(";");
  }

  private List<Token> run() {
    if (depth > DEEPEST) {
      add(Kind.UNKNOWN, text);
      return tokens;
    }
    while (at < text.length()) {
      next();
    }
    return tokens;
  }

  private void add(Kind kind, String value) {
    tokens.add(new Token(kind, value, spaced));
    spaced = false;
  }

  private void next() {
    char c = text.charAt(at);
    if (c == '\\') {
      command();
      return;
    }
    if (Character.isWhitespace(c) || c == '~' || c == '\u00a0' || c == '\u2009' || c == '\u202f') {
      spaced = true;
      at++;
      return;
    }
    if (c == '$') {
      at++; // the delimiter of a formula
      return;
    }
    if (isDigit(c) || c == '.' && at + 1 < text.length() && isDigit(text.charAt(at + 1))) {
      Matcher number = NUMBER.matcher(text).region(at, text.length());
      number.useTransparentBounds(true);
      number.lookingAt();
      add(Kind.NUMBER, number.group());
      at = number.end();
      return;
    }
    if (c == '^') {
      Matcher circle = CIRCLE.matcher(text).region(at + 1, text.length());
      if (circle.lookingAt()) {
        add(Kind.SYMBOL, "\u00b0");
        at = circle.end();
        return;
      }
    }
    for (String pair : new String[] {"**", "<=", ">=", "!=", "=="}) {
      if (text.startsWith(pair, at)) {
        add(
            Kind.SYMBOL,
            switch (pair) {
              case "**" -> "^";
              case "<=" -> "\u2264";
              case ">=" -> "\u2265";
              case "!=" -> "\u2260";
              default -> "=";
            });
        at += 2;
        return;
      }
    }
    if (text.startsWith("{,}", at)) {
      add(Kind.SYMBOL, Token.BRACED_COMMA);
      at += 3;
      return;
    }
    if (c == ',') {
      Matcher tight = TIGHT_COMMA.matcher(text).region(at, text.length());
      if (tight.lookingAt()) {
        add(Kind.SYMBOL, Token.TIGHT_COMMA);
        at = tight.end();
        return;
      }
    }
    if (text.startsWith("..", at)) {
      add(Kind.UNKNOWN, "..");
      at += 2;
      return;
    }
    at++;
    if (GREEK.containsKey(c)) {
      add(Kind.COMMAND, GREEK.get(c));
    } else if (SUPERSCRIPTS.indexOf(c) >= 0) {
      superscript(c);
    } else if (FRACTIONS.containsKey(c)) {
      add(Kind.COMMAND, "frac");
      add(Kind.NUMBER, FRACTIONS.get(c));
    } else if (Character.isLetter(c)) {
      int begin = at - 1;
      while (at < text.length()
          && Character.isLetter(text.charAt(at))
          && !GREEK.containsKey(text.charAt(at))) {
        at++;
      }
      add(Kind.WORD, text.substring(begin, at));
    } else {
      String symbol = CHARACTERS.get(c);
      add(symbol == null ? Kind.UNKNOWN : Kind.SYMBOL, symbol == null ? "" + c : symbol);
    }
  }

  private void superscript(char first) {
    StringBuilder digits = new StringBuilder();
    digits.append(SUPERSCRIPTS.indexOf(first));
    while (at < text.length() && SUPERSCRIPTS.indexOf(text.charAt(at)) >= 0) {
      digits.append(SUPERSCRIPTS.indexOf(text.charAt(at++)));
    }
    add(Kind.SYMBOL, "^");
    add(Kind.NUMBER, digits.toString());
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private static boolean isLetter(char c) {
    return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
  }

  private void command() {
    at++;
    if (at == text.length()) {
      add(Kind.UNKNOWN, "\\");
      return;
    }
    char c = text.charAt(at);
    if (!isLetter(c)) {
      at++;
      sign(c);
      return;
    }
    int begin = at;
    while (at < text.length() && isLetter(text.charAt(at))) {
      at++;
    }
    String name = text.substring(begin, at);
    if (at < text.length() && text.charAt(at) == '*' && name.equals("operatorname")) {
      at++;
    }
    named(name);
  }

  private void sign(char c) {
    switch (c) {
      case ' ', ',', ';', ':', '>', '\n' -> spaced = true;
      case '!' -> {}
      case '(', ')', '[', ']' -> {} // delimiters of formulas
      case '{' -> add(Kind.SYMBOL, Token.OPEN_SET);
      case '}' -> add(Kind.SYMBOL, Token.CLOSE_SET);
      case '%' -> add(Kind.SYMBOL, "%");
      case '$' -> add(Kind.SYMBOL, "$");
      case '&' -> add(Kind.UNKNOWN, "&");
      case '\\' -> {
        Matcher space = ROW_SPACE.matcher(text).region(at, text.length());
        if (space.lookingAt()) {
          at = space.end();
        }
        add(Kind.SYMBOL, Token.NEW_ROW);
      }
      default -> add(Kind.UNKNOWN, "\\" + c);
    }
  }

  private void named(String name) {
    if (SPACES.contains(name)) {
      spaced = true;
    } else if (name.equals("left") || name.equals("right")) {
      String rest = text.substring(at).stripLeading();
      if (rest.startsWith(".")) {
        // An invisible delimiter: what it closes has no brackets of its own.
        add(Kind.UNKNOWN, "\\" + name + ".");
        at = text.length() - rest.length() + 1;
      }
    } else if (STYLES.contains(name)) {
      // A style has no meaning. Its group, if any, stays a group.
    } else if (SYMBOLS.containsKey(name)) {
      add(Kind.SYMBOL, SYMBOLS.get(name));
    } else if (TEXTS.contains(name)) {
      text(name);
    } else if (name.equals("begin") || name.equals("end")) {
      environment(name);
    } else if (name.equals("mathbb")) {
      String group = group();
      String rest = text.substring(at).stripLeading();
      if (group.isEmpty() && rest.matches("(?s)[A-Z](?![a-zA-Z]).*")) {
        group = rest.substring(0, 1);
        at = text.length() - rest.length() + 1;
      }
      add(group.matches("[A-Z]") ? Kind.COMMAND : Kind.UNKNOWN, "mathbb:" + group);
    } else if (name.equals("hspace")
        || name.equals("vspace")
        || name.equals("phantom")
        || name.equals("hphantom")
        || name.equals("label")) {
      group();
      spaced = true;
    } else if (name.equals("not")) {
      String rest = text.substring(at).stripLeading();
      boolean equal = rest.startsWith("=");
      add(equal ? Kind.SYMBOL : Kind.UNKNOWN, equal ? "\u2260" : "\\not");
      at = equal ? text.length() - rest.length() + 1 : at;
    } else {
      add(Kind.COMMAND, name);
    }
  }

  /** Returns the content of the next group, or nothing. */
  private String group() {
    int open = at;
    while (open < text.length() && Character.isWhitespace(text.charAt(open))) {
      open++;
    }
    if (open == text.length() || text.charAt(open) != '{') {
      return "";
    }
    int level = 0;
    for (int i = open; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\\') {
        i++;
      } else if (c == '{') {
        level++;
      } else if (c == '}' && --level == 0) {
        at = i + 1;
        return text.substring(open + 1, i);
      }
    }
    at = text.length();
    add(Kind.UNKNOWN, "{");
    return "";
  }

  /** Words become one token. Numbers and formulas within a text become the tokens that they are. */
  private void text(String command) {
    int before = at;
    String content = group();
    if (at == before) {
      add(Kind.UNKNOWN, "\\" + command);
      return;
    }
    String words = content.replace("\\ ", " ").replace("~", " ").replace("\\,", " ");
    if (content.isBlank()) {
      spaced = true;
    } else if (WORDS.matcher(words).matches() && words.codePoints().anyMatch(Character::isLetter)) {
      spaced |= Character.isWhitespace(words.charAt(0));
      add(Kind.TEXT, words);
      spaced = Character.isWhitespace(words.charAt(words.length() - 1));
    } else {
      boolean single = content.strip().startsWith("\\") || content.length() < 2;
      List<Token> inside = new Lexer(content, depth + 1).run();
      for (int i = 0; i < inside.size(); i++) {
        Token token = inside.get(i);
        // Letters within texts are words, not products.
        Kind kind = token.kind() == Kind.WORD && !single ? Kind.TEXT : token.kind();
        tokens.add(new Token(kind, token.text(), token.spaced() || i == 0 && spaced));
      }
      spaced = false;
    }
  }

  private void environment(String name) {
    String kind = group();
    if (!MATRICES.contains(kind)) {
      add(Kind.UNKNOWN, name + ":" + kind);
      return;
    }
    if (kind.equals("array") && name.equals("begin")) {
      Matcher columns = COLUMNS.matcher(text).region(at, text.length());
      if (columns.lookingAt()) {
        at = columns.end();
      }
    }
    add(Kind.COMMAND, name + ":" + kind);
  }

  /** Joins the digits of numbers with separators: 10,080 and 10 080 and 10{,}080. */
  private static List<Token> joined(List<Token> tokens) {
    boolean brackets = tokens.stream().anyMatch(t -> t.opens() && !t.is("{"));
    List<Token> result = new ArrayList<>();
    int i = 0;
    while (i < tokens.size()) {
      Token first = tokens.get(i);
      int end =
          first.kind() == Kind.NUMBER && first.text().matches("\\d{1,3}")
              ? groupsEnd(tokens, i, brackets)
              : i + 1;
      if (end == i + 1) {
        boolean decimals =
            first.kind() == Kind.NUMBER
                && first.text().matches("\\d+")
                && i + 2 < tokens.size()
                && tokens.get(i + 1).is(Token.BRACED_COMMA)
                && tokens.get(i + 2).text().matches("\\d+");
        if (decimals && tokens.get(i + 2).text().length() != 3) {
          result.add(
              new Token(
                  Kind.NUMBER, first.text() + "." + tokens.get(i + 2).text(), first.spaced()));
          i += 3;
          continue;
        }
        result.add(first);
      } else {
        StringBuilder digits = new StringBuilder();
        for (Token token : tokens.subList(i, end)) {
          digits.append(token.kind() == Kind.NUMBER ? token.text() : "");
        }
        result.add(new Token(Kind.NUMBER, digits.toString(), first.spaced()));
      }
      i = end;
    }
    return result;
  }

  /** Returns the end of a number whose groups of three digits have one kind of separator. */
  private static int groupsEnd(List<Token> tokens, int begin, boolean brackets) {
    int end = begin + 1;
    String separator = "";
    while (end < tokens.size()) {
      Token token = tokens.get(end);
      String found =
          token.kind() == Kind.NUMBER && token.spaced()
              ? " "
              : token.is(",") || token.is(Token.TIGHT_COMMA) || token.is(Token.BRACED_COMMA)
                  ? token.text()
                  : "";
      int digits = found.equals(" ") ? end : end + 1;
      if (found.isEmpty()
          || !separator.isEmpty() && !separator.equals(found)
          || digits >= tokens.size()
          || tokens.get(digits).kind() != Kind.NUMBER) {
        break;
      }
      Token group = tokens.get(digits);
      boolean whole = group.text().matches("\\d{3}");
      boolean last = group.text().matches("\\d{3}\\.\\d+");
      boolean tight = !token.spaced() && !group.spaced();
      if (!whole && !last || found.equals(",") && (brackets || !tight)) {
        // A list such as 1,234,5 has no thousands at all.
        return found.equals(",") ? begin + 1 : end;
      }
      separator = found;
      end = digits + 1;
      if (last) {
        break;
      }
    }
    boolean fraction = end < tokens.size() && tokens.get(end).is("/") && separator.equals(" ");
    boolean list = end < tokens.size() && tokens.get(end).is(",") && separator.equals(",");
    return fraction || list ? begin + 1 : end;
  }
}
