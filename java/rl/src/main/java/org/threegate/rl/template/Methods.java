package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/** The methods of strings, mappings and lists that templates may call. None modifies its object. */
final class Methods {
  private static final Map<String, Builtin> OF_TEXT =
      Builtin.table(
          Builtin.of("strip", "chars?", (run, own, given) -> strip(run, own, given, true, true)),
          Builtin.of("lstrip", "chars?", (run, own, given) -> strip(run, own, given, true, false)),
          Builtin.of("rstrip", "chars?", (run, own, given) -> strip(run, own, given, false, true)),
          Builtin.of(
              "split",
              "sep? maxsplit?",
              (run, own, given) -> {
                long most = given.integer("maxsplit", -1);
                return texts(
                    run,
                    given.has("sep")
                        ? Strings.split(run.budget(), text(own), given.text("sep"), most)
                        : Strings.words(run.budget(), text(own), most));
              }),
          Builtin.of("rsplit", "sep? maxsplit?", Methods::splitRight),
          Builtin.of(
              "splitlines",
              "keepends?",
              (run, own, given) ->
                  texts(
                      run, Strings.lines(run.budget(), text(own), given.flag("keepends", false)))),
          Builtin.of(
              "startswith",
              "prefix",
              (run, own, given) -> any(run, given.get("prefix"), text(own), String::startsWith)),
          Builtin.of(
              "endswith",
              "suffix",
              (run, own, given) -> any(run, given.get("suffix"), text(own), String::endsWith)),
          changing("upper", text -> text.toUpperCase(Locale.ROOT)),
          changing("lower", text -> text.toLowerCase(Locale.ROOT)),
          changing("title", Strings::title),
          changing("capitalize", Strings::capitalized),
          Builtin.of(
              "replace",
              "old new count?",
              (run, own, given) ->
                  Strings.replace(
                      run.budget(),
                      text(own),
                      given.text("old"),
                      given.text("new"),
                      given.integer("count", -1))),
          Builtin.of("find", "sub", (run, own, given) -> place(run, own, given, false, true)),
          Builtin.of("rfind", "sub", (run, own, given) -> place(run, own, given, true, true)),
          Builtin.of("index", "sub", (run, own, given) -> place(run, own, given, false, false)),
          Builtin.of(
              "count",
              "sub",
              (run, own, given) ->
                  new Value.Int(
                      Strings.places(run.budget(), text(own), given.text("sub"), Long.MAX_VALUE)
                          .size())),
          Builtin.of(
              "join",
              "iterable",
              (run, own, given) -> {
                List<Value> items = run.items(given.get("iterable"));
                items.forEach(Conversions::text);
                return run.joined(items, text(own));
              }),
          ofAll("isdigit", c -> Character.isDigit(c) || isSuperscript(c)),
          ofAll("isnumeric", Methods::isNumeric),
          ofAll("isalpha", Character::isLetter),
          ofAll("isalnum", c -> Character.isLetter(c) || isNumeric(c)),
          ofAll("isspace", Strings.SPACE),
          asking("isupper", text -> Strings.isCase(text, Character::isUpperCase)),
          asking("islower", text -> Strings.isCase(text, Character::isLowerCase)),
          Builtin.of(
              "removeprefix",
              "prefix",
              (run, own, given) ->
                  text(own).startsWith(given.text("prefix"))
                      ? run.budget().text(text(own).substring(given.text("prefix").length()))
                      : own),
          Builtin.of(
              "removesuffix",
              "suffix",
              (run, own, given) ->
                  text(own).endsWith(given.text("suffix"))
                      ? run.budget()
                          .text(
                              text(own)
                                  .substring(0, text(own).length() - given.text("suffix").length()))
                      : own),
          Builtin.of("partition", "sep", (run, own, given) -> parted(run, own, given, false)),
          Builtin.of("rpartition", "sep", (run, own, given) -> parted(run, own, given, true)),
          Builtin.of("zfill", "width", Methods::zeros),
          Builtin.of("ljust", "width fillchar?", (run, own, given) -> padded(run, own, given, '<')),
          Builtin.of("rjust", "width fillchar?", (run, own, given) -> padded(run, own, given, '>')),
          Builtin.of(
              "center", "width fillchar?", (run, own, given) -> padded(run, own, given, '^')));

  private static final Map<String, Builtin> OF_DICT =
      Builtin.table(
          Builtin.of(
              "get",
              "key default?",
              (run, own, given) ->
                  Conversions.dict(own)
                      .getOrDefault(
                          Conversions.key(given.get("key")),
                          given.get("default", Value.None.NONE))),
          Builtin.of("items", "", (run, own, given) -> items(run, own)),
          Builtin.of(
              "keys",
              "",
              (run, own, given) -> run.budget().listing(Value.Kind.KEYS, run.items(own))),
          Builtin.of(
              "values",
              "",
              (run, own, given) ->
                  run.budget()
                      .listing(
                          Value.Kind.VALUES, new ArrayList<>(Conversions.dict(own).values()))));

  private static final Map<String, Builtin> OF_LIST =
      Builtin.table(
          Builtin.of(
              "index",
              "value",
              (run, own, given) -> {
                List<Value> items = run.items(own);
                for (int i = 0; i < items.size(); i++) {
                  if (Operators.equal(run, items.get(i), given.get("value"))) {
                    return new Value.Int(i);
                  }
                }
                throw new TemplateException("the value is not in the list");
              }),
          Builtin.of(
              "count",
              "value",
              (run, own, given) ->
                  new Value.Int(
                      run.items(own).stream()
                          .filter(item -> Operators.equal(run, item, given.get("value")))
                          .count())));

  private Methods() {}

  static Map<String, Builtin> of(Value value) {
    if (value instanceof Value.Text) {
      return OF_TEXT;
    }
    if (value instanceof Value.Dict) {
      return OF_DICT;
    }
    return value instanceof Value.Listing list && list.kind().isSubscriptable()
        ? OF_LIST
        : Map.of();
  }

  private static String text(Value own) {
    return Conversions.text(own);
  }

  private static Builtin changing(String name, UnaryOperator<String> change) {
    return Builtin.of(name, "", (run, own, given) -> run.budget().text(change.apply(text(own))));
  }

  private static Builtin asking(String name, Predicate<String> asked) {
    return Builtin.of(
        name,
        "",
        (run, own, given) -> {
          run.budget().work(own.weight());
          return Value.Bool.of(asked.test(text(own)));
        });
  }

  private static Builtin ofAll(String name, IntPredicate asked) {
    return asking(name, text -> Strings.all(text, asked));
  }

  private static boolean isSuperscript(int c) {
    return c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || c >= 0x2074 && c <= 0x2089;
  }

  private static boolean isNumeric(int c) {
    int type = Character.getType(c);
    return type == Character.DECIMAL_DIGIT_NUMBER
        || type == Character.LETTER_NUMBER
        || type == Character.OTHER_NUMBER;
  }

  static Value texts(Evaluation run, List<String> parts) {
    List<Value> values = new ArrayList<>(parts.size());
    parts.forEach(part -> values.add(run.budget().text(part)));
    return run.budget().list(values);
  }

  private static Value strip(
      Evaluation run, Value own, Builtin.Given given, boolean left, boolean right) {
    return strip(run, text(own), given, left, right);
  }

  /** Returns the characters to strip: {@code chars}, or white space. */
  static Value strip(
      Evaluation run, String text, Builtin.Given given, boolean left, boolean right) {
    IntPredicate stripped = Strings.SPACE;
    if (given.has("chars")) {
      Set<Integer> all = new HashSet<>();
      run.budget().work(given.get("chars").weight());
      given.text("chars").codePoints().forEach(all::add);
      stripped = all::contains;
    }
    return run.budget().text(Strings.strip(text, stripped, left, right));
  }

  private static Value splitRight(Evaluation run, Value own, Builtin.Given given) {
    long most = given.integer("maxsplit", -1);
    if (given.has("sep")) {
      return texts(run, Strings.splitRight(run.budget(), text(own), given.text("sep"), most));
    }
    List<String> parts = new ArrayList<>();
    String turned = new StringBuilder(text(own)).reverse().toString();
    for (String word : Strings.words(run.budget(), turned, most)) {
      parts.add(new StringBuilder(word).reverse().toString());
    }
    Collections.reverse(parts);
    return texts(run, parts);
  }

  private static Value any(
      Evaluation run, Value parts, String text, BiPredicate<String, String> holds) {
    List<Value> all =
        parts instanceof Value.Listing list && list.kind().isTuple()
            ? list.items()
            : List.of(parts);
    boolean found = false;
    for (Value part : all) {
      run.budget().work(part.weight());
      found |= holds.test(text, Conversions.text(part));
    }
    return Value.Bool.of(found);
  }

  private static Value place(
      Evaluation run, Value own, Builtin.Given given, boolean last, boolean lenient) {
    run.budget().work(own.weight());
    String text = text(own);
    String part = given.text("sub");
    int place = last ? Strings.findLast(text, part) : Strings.find(text, part, 0);
    if (place < 0 && !lenient) {
      throw new TemplateException("the substring was not found");
    }
    return new Value.Int(place < 0 ? -1 : text.codePointCount(0, place));
  }

  private static Value parted(Evaluation run, Value own, Builtin.Given given, boolean last) {
    run.budget().work(own.weight());
    String text = text(own);
    String separator = given.text("sep");
    if (separator.isEmpty()) {
      throw new TemplateException("the separator must not be empty");
    }
    int place = last ? Strings.findLast(text, separator) : Strings.find(text, separator, 0);
    List<String> parts =
        place < 0
            ? last ? List.of("", "", text) : List.of(text, "", "")
            : List.of(
                text.substring(0, place), separator, text.substring(place + separator.length()));
    List<Value> values = new ArrayList<>();
    parts.forEach(part -> values.add(run.budget().text(part)));
    return run.budget().listing(Value.Kind.TUPLE, values);
  }

  private static Value zeros(Evaluation run, Value own, Builtin.Given given) {
    String text = text(own);
    int sign = text.startsWith("-") || text.startsWith("+") ? 1 : 0;
    return new TextBuilder(run.budget())
        .append(text.substring(0, sign))
        .repeat("0", given.integer("width", 0) - ((Value.Text) own).length())
        .append(text.substring(sign))
        .text();
  }

  private static Value padded(Evaluation run, Value own, Builtin.Given given, char side) {
    String fill = given.text("fillchar", " ");
    if (fill.codePointCount(0, fill.length()) != 1) {
      throw new TemplateException("the fill character must be one character");
    }
    return centred(run, text(own), given.integer("width", 0), fill, side);
  }

  /** Pads a string to a width on the left, on the right or on both sides. */
  static Value centred(Evaluation run, String text, long width, String fill, char side) {
    long missing = Math.max(0, width - text.codePointCount(0, text.length()));
    long before =
        switch (side) {
          case '<' -> 0;
          case '>' -> missing;
          // The rounding of CPython.
          default -> missing / 2 + (missing & width & 1);
        };
    return new TextBuilder(run.budget())
        .repeat(fill, before)
        .append(text)
        .repeat(fill, missing - before)
        .text();
  }

  static Value items(Evaluation run, Value own) {
    List<Value> pairs = new ArrayList<>();
    Conversions.dict(own)
        .forEach(
            (key, value) -> pairs.add(run.budget().listing(Value.Kind.TUPLE, List.of(key, value))));
    return run.budget().listing(Value.Kind.ITEMS, pairs);
  }
}
