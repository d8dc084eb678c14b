package org.threegate.rl.template;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** The filters of Jinja that templates may use after {@code |}. */
final class Filters {
  private static final Pattern TITLE_WORD = Pattern.compile("(?<=[-\\s({\\[<])(?=[^-\\s({\\[<])");
  private static final String UNRESERVED = "_.-~/";

  private static final Map<String, Builtin> TABLE = new HashMap<>();

  static {
    texts();
    numbers();
    sequences();
    ordered();
    chosen();
    add("default", "default_value? boolean?", Filters::otherwise, "d");
    add("tojson", "ensure_ascii? indent? separators? sort_keys?", Json::write);
  }

  private Filters() {}

  private static void add(String name, String parameters, Builtin.Body body, String... others) {
    TABLE.put(name, Builtin.of(name, parameters, body));
    for (String other : others) {
      TABLE.put(other, TABLE.get(name));
    }
  }

  static Value apply(Evaluation run, String name, Value value, Arguments arguments) {
    Builtin filter = TABLE.get(name);
    if (filter == null) {
      throw new TemplateException("there is no filter \"" + name + "\" for templates");
    }
    return filter.apply(run, value, arguments);
  }

  private static void text(String name, UnaryOperator<String> change) {
    add(name, "", (run, value, given) -> run.budget().text(change.apply(run.text(value))));
  }

  private static void texts() {
    text("upper", text -> text.toUpperCase(Locale.ROOT));
    text("lower", text -> text.toLowerCase(Locale.ROOT));
    text("capitalize", Strings::capitalized);
    text("title", Filters::title);
    text("string", UnaryOperator.identity());
    text("safe", UnaryOperator.identity());
    add("escape", "", Filters::escaped, "e");
    add("urlencode", "", Filters::encoded);
    add(
        "trim",
        "chars?",
        (run, value, given) -> Methods.strip(run, run.text(value), given, true, true));
    add(
        "replace",
        "old new count?",
        (run, value, given) ->
            Strings.replace(
                run.budget(),
                run.text(value),
                run.text(given.get("old")),
                run.text(given.get("new")),
                given.integer("count", -1)));
    add(
        "center",
        "width?",
        (run, value, given) ->
            Methods.centred(run, run.text(value), given.integer("width", 80), " ", '^'));
    add("indent", "width? first? blank?", Filters::indented);
    add("truncate", "length? killwords? end? leeway?", Filters::truncated);
    add("format", "* **", Filters::formatted);
    add("wordcount", "", Filters::words);
    add(
        "join",
        "d? attribute?",
        (run, value, given) ->
            run.joined(
                attributes(run, value, given), run.text(given.get("d", new Value.Text("")))));
  }

  private static String title(String text) {
    StringBuilder result = new StringBuilder();
    for (String word : TITLE_WORD.split(text)) {
      int first = word.isEmpty() ? 0 : Character.charCount(word.codePointAt(0));
      result
          .append(word.substring(0, first).toUpperCase(Locale.ROOT))
          .append(word.substring(first).toLowerCase(Locale.ROOT));
    }
    return result.toString();
  }

  private static Value escaped(Evaluation run, Value value, Builtin.Given given) {
    TextBuilder out = new TextBuilder(run.budget());
    run.text(value)
        .codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&#34;");
                case '\'' -> out.append("&#39;");
                default -> out.append(c);
              }
            });
    return out.text();
  }

  private static Value encoded(Evaluation run, Value value, Builtin.Given given) {
    TextBuilder out = new TextBuilder(run.budget());
    if (value instanceof Value.Text || !Tests.isIterable(value)) {
      encode(out, run.text(value), false);
      return out.text();
    }
    Value pairs = value instanceof Value.Dict ? Methods.items(run, value) : value;
    String separator = "";
    for (Value pair : run.items(pairs)) {
      List<Value> both = run.items(pair);
      if (both.size() != 2) {
        throw new TemplateException("urlencode is for texts, mappings and pairs");
      }
      out.append(separator);
      encode(out, run.text(both.get(0)), true);
      out.append("=");
      encode(out, run.text(both.get(1)), true);
      separator = "&";
    }
    return out.text();
  }

  private static void encode(TextBuilder out, String text, boolean query) {
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      if (c < 128
          && (Character.isLetterOrDigit(c) || UNRESERVED.indexOf(c) >= 0)
          && !(query && c == '/')) {
        out.append(c);
      } else {
        out.append(query && c == ' ' ? "+" : String.format("%%%02X", (int) c));
      }
    }
  }

  private static Value indented(Evaluation run, Value value, Builtin.Given given) {
    Value width = given.get("width", new Value.Int(4));
    String indent =
        width instanceof Value.Text text
            ? text.value()
            : new TextBuilder(run.budget()).repeat(" ", Conversions.integer(width)).toString();
    boolean blank = given.flag("blank", false);
    List<String> lines = Strings.lines(run.budget(), Conversions.text(value) + "\n", false);
    TextBuilder out = new TextBuilder(run.budget());
    for (int i = 0; i < lines.size(); i++) {
      boolean own = i == 0 ? given.flag("first", false) : blank || !lines.get(i).isEmpty();
      out.append(i == 0 ? "" : "\n").append(own ? indent : "").append(lines.get(i));
    }
    return out.text();
  }

  private static Value truncated(Evaluation run, Value value, Builtin.Given given) {
    String end = given.text("end", "...");
    long length = given.integer("length", 255);
    long leeway = given.integer("leeway", 5);
    if (length < end.codePointCount(0, end.length()) || leeway < 0) {
      throw new TemplateException("the length of truncate is below that of its end");
    }
    if (length(value) - leeway <= length) {
      return value;
    }
    String text = Conversions.text(value);
    int kept = (int) length - end.codePointCount(0, end.length());
    String cut = text.substring(0, text.offsetByCodePoints(0, kept));
    int space = given.flag("killwords", false) ? -1 : cut.lastIndexOf(' ');
    return new TextBuilder(run.budget())
        .append(space < 0 ? cut : cut.substring(0, space))
        .append(end)
        .text();
  }

  private static Value formatted(Evaluation run, Value value, Builtin.Given given) {
    if (!given.named().isEmpty() && !given.rest().isEmpty()) {
      throw new TemplateException("format cannot combine positional and named arguments");
    }
    Value values =
        given.named().isEmpty()
            ? run.budget().listing(Value.Kind.TUPLE, given.rest())
            : Functions.dict(run, given.named());
    return PercentFormat.of(run, run.text(value), values);
  }

  private static Value words(Evaluation run, Value value, Builtin.Given given) {
    run.budget().work(value.weight());
    int words = 0;
    boolean inside = false;
    for (int c : run.text(value).codePoints().toArray()) {
      boolean word = c == '_' || Character.isLetterOrDigit(c);
      words += word && !inside ? 1 : 0;
      inside = word;
    }
    return new Value.Int(words);
  }

  private static void numbers() {
    add("length", "", (run, value, given) -> new Value.Int(length(value)), "count");
    add("int", "default? base?", Filters::whole);
    add("float", "default?", Filters::real);
    add(
        "abs",
        "",
        (run, value, given) ->
            value instanceof Value.Real real
                ? new Value.Real(Math.abs(real.value()))
                : Operators.signed(value, Conversions.integer(value) < 0));
    add("round", "precision? method?", Filters::rounded);
    add(
        "sum",
        "attribute? start?",
        (run, value, given) -> {
          Value sum = given.get("start", new Value.Int(0));
          if (sum instanceof Value.Text) {
            throw new TemplateException("sum does not support strings; use join");
          }
          for (Value item : attributes(run, value, given)) {
            sum = Operators.binary(run, "+", sum, item);
          }
          return sum;
        });
  }

  private static long length(Value value) {
    if (value instanceof Value.Text text) {
      return text.length();
    }
    if (value instanceof Value.Listing list) {
      return list.items().size();
    }
    if (value instanceof Value.Dict dict) {
      return dict.entries().size();
    }
    if (value instanceof Value.Undefined) {
      return 0;
    }
    throw new TemplateException("a value of type " + value.type() + " has no length");
  }

  private static Value whole(Evaluation run, Value value, Builtin.Given given) {
    Value otherwise = given.get("default", new Value.Int(0));
    if (value instanceof Value.Text text) {
      long base = given.integer("base", 10);
      if (base < Character.MIN_RADIX || base > Character.MAX_RADIX) {
        throw new TemplateException("the base of int must be from 2 to 36");
      }
      Value whole = Numerals.parsedWhole(text.value(), (int) base).orElse(null);
      return whole != null
          ? whole
          : Numerals.parsedReal(text.value())
              .filter(real -> Double.isFinite(real.value()))
              .map(real -> (Value) new Value.Int(Numerals.whole(real.value())))
              .orElse(otherwise);
    }
    if (value instanceof Value.Real real) {
      return Double.isNaN(real.value()) ? otherwise : new Value.Int(Numerals.whole(real.value()));
    }
    Conversions.requireDefined(value);
    return value instanceof Value.Num ? new Value.Int(Conversions.integer(value)) : otherwise;
  }

  private static Value real(Evaluation run, Value value, Builtin.Given given) {
    Value otherwise = given.get("default", new Value.Real(0));
    if (value instanceof Value.Text text) {
      return Numerals.parsedReal(text.value()).map(Value.class::cast).orElse(otherwise);
    }
    Conversions.requireDefined(value);
    return value instanceof Value.Num number ? new Value.Real(number.real()) : otherwise;
  }

  private static Value rounded(Evaluation run, Value value, Builtin.Given given) {
    long places = given.integer("precision", 0);
    String method = given.text("method", "common");
    if (!(value instanceof Value.Num number)) {
      Conversions.requireDefined(value);
      throw new TemplateException("a value of type " + value.type() + " is no number");
    }
    double scale = Math.pow(10, places);
    return switch (method) {
      case "common" ->
          value instanceof Value.Real real
              ? new Value.Real(Numerals.rounded(real.value(), places))
              : places >= 0
                  ? new Value.Int(Conversions.integer(value))
                  : new Value.Int(Numerals.whole(Numerals.rounded(number.real(), places)));
      case "ceil" -> new Value.Real((Math.ceil(number.real() * scale) + 0.0) / scale);
      case "floor" -> new Value.Real((Math.floor(number.real() * scale) + 0.0) / scale);
      default -> throw new TemplateException("round has no method \"" + method + "\"");
    };
  }

  private static void sequences() {
    add(
        "first",
        "",
        (run, value, given) -> {
          Iterator<Value> items = run.iterator(value);
          return items.hasNext() ? items.next() : none("first");
        });
    add(
        "last",
        "",
        (run, value, given) -> {
          List<Value> items = reversible(run, value);
          return items.isEmpty() ? none("last") : items.get(items.size() - 1);
        });
    add("list", "", (run, value, given) -> run.budget().list(new ArrayList<>(run.items(value))));
    add("items", "", Filters::items);
    add("reverse", "", Filters::reversed);
    add("batch", "linecount fill_with?", Filters::batches);
    add("slice", "slices fill_with?", Filters::slices);
    add("unique", "case_sensitive? attribute?", Filters::unique);
  }

  private static Value none(String which) {
    return new Value.Undefined("an empty sequence has no " + which + " item");
  }

  private static List<Value> reversible(Evaluation run, Value value) {
    if (value instanceof Value.Stream) {
      throw new TemplateException("an iterator has no last item; convert it with \"list\" first");
    }
    return run.items(value);
  }

  private static Value items(Evaluation run, Value value, Builtin.Given given) {
    return value instanceof Value.Undefined
        ? run.budget().stream(List.of())
        : run.budget().stream(run.items(Methods.items(run, value)));
  }

  private static Value reversed(Evaluation run, Value value, Builtin.Given given) {
    if (value instanceof Value.Text text) {
      run.budget().work(text.weight());
      StringBuilder turned = new StringBuilder();
      for (int i = text.value().length(); i > 0; ) {
        int c = text.value().codePointBefore(i);
        turned.appendCodePoint(c);
        i -= Character.charCount(c);
      }
      return run.budget().text(turned.toString());
    }
    List<Value> items = new ArrayList<>(run.items(value));
    Collections.reverse(items);
    return value instanceof Value.Stream ? run.budget().list(items) : run.budget().stream(items);
  }

  private static Value batches(Evaluation run, Value value, Builtin.Given given) {
    long size = given.integer("linecount", 1);
    List<Value> batches = new ArrayList<>();
    List<Value> batch = new ArrayList<>();
    for (Value item : run.items(value)) {
      if (batch.size() == size) {
        batches.add(run.budget().list(batch));
        batch = new ArrayList<>();
      }
      batch.add(item);
    }
    if (!batch.isEmpty()) {
      run.budget().size(size);
      while (given.has("fill_with") && batch.size() < size) {
        run.budget().step();
        batch.add(given.get("fill_with"));
      }
      batches.add(run.budget().list(batch));
    }
    return run.budget().stream(batches);
  }

  private static Value slices(Evaluation run, Value value, Builtin.Given given) {
    List<Value> items = run.items(value);
    long count = given.integer("slices", 1);
    if (count == 0) {
      throw new TemplateException("a division by zero");
    }
    List<Value> slices = new ArrayList<>();
    int begin = 0;
    for (long i = 0; i < count; i++) {
      int end = begin + (int) (items.size() / count + (i < items.size() % count ? 1 : 0));
      List<Value> slice = new ArrayList<>(items.subList(begin, end));
      if (given.has("fill_with") && i >= items.size() % count) {
        slice.add(given.get("fill_with"));
      }
      slices.add(run.budget().list(slice));
      begin = end;
    }
    return run.budget().stream(slices);
  }

  private static Value unique(Evaluation run, Value value, Builtin.Given given) {
    Function<Value, Value> key = key(run, given);
    Set<Value> seen = new HashSet<>();
    List<Value> found = new ArrayList<>();
    for (Value item : run.items(value)) {
      run.budget().work(item.weight());
      if (seen.add(Conversions.key(key.apply(item)))) {
        found.add(item);
      }
    }
    return run.budget().stream(found);
  }

  private static void ordered() {
    add(
        "sort",
        "reverse? case_sensitive? attribute?",
        (run, value, given) ->
            run.budget()
                .list(
                    sorted(run, run.items(value), keys(run, given), given.flag("reverse", false))));
    add("dictsort", "case_sensitive? by? reverse?", Filters::sortedDict);
    add("groupby", "attribute default? case_sensitive?", Filters::groups);
    add("min", "case_sensitive? attribute?", (run, value, given) -> extreme(run, value, given, -1));
    add("max", "case_sensitive? attribute?", (run, value, given) -> extreme(run, value, given, 1));
  }

  private static Value folded(Value value) {
    return value instanceof Value.Text text
        ? new Value.Text(text.value().toLowerCase(Locale.ROOT))
        : value;
  }

  /** Returns the sort key of an item: an attribute, in lower case unless the case matters. */
  private static Function<Value, Value> key(Evaluation run, Builtin.Given given) {
    boolean exact = given.flag("case_sensitive", false);
    Function<Value, Value> own =
        given.has("attribute") ? path(run, given.get("attribute")) : value -> value;
    return item -> {
      Value value = own.apply(item);
      run.budget().work(value.weight());
      return exact ? value : folded(value);
    };
  }

  /** Returns the sort key for several attributes, which are separated by commas. */
  private static List<Function<Value, Value>> keys(Evaluation run, Builtin.Given given) {
    if (!(given.get("attribute", Value.None.NONE) instanceof Value.Text text)) {
      return List.of(key(run, given));
    }
    List<Function<Value, Value>> keys = new ArrayList<>();
    for (String part : text.value().split(",", -1)) {
      Map<String, Value> own = new HashMap<>(given.values());
      own.put("attribute", new Value.Text(part));
      keys.add(key(run, new Builtin.Given(run, own, List.of(), Map.of())));
    }
    return keys;
  }

  private static List<Value> sorted(
      Evaluation run, List<Value> items, List<Function<Value, Value>> keys, boolean reverse) {
    record Keyed(Value item, List<Value> keys) {}
    List<Keyed> all = new ArrayList<>();
    for (Value item : items) {
      all.add(new Keyed(item, keys.stream().map(key -> key.apply(item)).toList()));
    }
    Comparator<Keyed> order =
        (a, b) -> {
          for (int i = 0; i < keys.size(); i++) {
            Value own = a.keys().get(i);
            Value its = b.keys().get(i);
            if (!Operators.equal(run, own, its)) {
              return Operators.order(run, "<", own, its);
            }
          }
          return 0;
        };
    all.sort(reverse ? order.reversed() : order);
    List<Value> sorted = new ArrayList<>(all.size());
    all.forEach(keyed -> sorted.add(keyed.item()));
    return sorted;
  }

  private static Value sortedDict(Evaluation run, Value value, Builtin.Given given) {
    int place =
        switch (given.text("by", "key")) {
          case "key" -> 0;
          case "value" -> 1;
          default -> throw new TemplateException("dictsort is by \"key\" or \"value\"");
        };
    boolean exact = given.flag("case_sensitive", false);
    Function<Value, Value> key =
        pair -> {
          Value own = ((Value.Listing) pair).items().get(place);
          return exact ? own : folded(own);
        };
    return run.budget()
        .list(
            sorted(
                run,
                run.items(Methods.items(run, value)),
                List.of(key),
                given.flag("reverse", false)));
  }

  private static Value groups(Evaluation run, Value value, Builtin.Given given) {
    Function<Value, Value> attribute = path(run, given.get("attribute"));
    Function<Value, Value> raw =
        item -> {
          Value own = attribute.apply(item);
          return own instanceof Value.Undefined && given.has("default")
              ? given.get("default")
              : own;
        };
    boolean exact = given.flag("case_sensitive", false);
    Function<Value, Value> key = item -> exact ? raw.apply(item) : folded(raw.apply(item));
    List<Value> groups = new ArrayList<>();
    List<Value> group = new ArrayList<>();
    Value last = null;
    for (Value item : sorted(run, run.items(value), List.of(key), false)) {
      Value own = key.apply(item);
      if (last != null && !Operators.equal(run, own, last)) {
        groups.add(group(run, raw, group));
        group = new ArrayList<>();
      }
      group.add(item);
      last = own;
    }
    if (!group.isEmpty()) {
      groups.add(group(run, raw, group));
    }
    return run.budget().list(groups);
  }

  private static Value group(Evaluation run, Function<Value, Value> raw, List<Value> items) {
    return run.budget()
        .listing(Value.Kind.GROUP, List.of(raw.apply(items.get(0)), run.budget().list(items)));
  }

  private static Value extreme(Evaluation run, Value value, Builtin.Given given, int sign) {
    Function<Value, Value> key = key(run, given);
    Value best = null;
    for (Value item : run.items(value)) {
      if (best == null || sign * Operators.order(run, "<", key.apply(item), key.apply(best)) > 0) {
        best = item;
      }
    }
    return best == null ? none("smallest or largest") : best;
  }

  private static void chosen() {
    add("map", "* **", Filters::mapped);
    add("select", "* **", (run, value, given) -> chosen(run, value, given, 0, true));
    add("reject", "* **", (run, value, given) -> chosen(run, value, given, 0, false));
    add("selectattr", "* **", (run, value, given) -> chosen(run, value, given, 1, true));
    add("rejectattr", "* **", (run, value, given) -> chosen(run, value, given, 1, false));
  }

  private static Value mapped(Evaluation run, Value value, Builtin.Given given) {
    Function<Value, Value> change;
    if (given.rest().isEmpty() && given.named().containsKey("attribute")) {
      Value otherwise = given.named().get("default");
      Function<Value, Value> path =
          path(
              run, given.named().get("attribute"), otherwise == Value.None.NONE ? null : otherwise);
      change = path;
    } else if (!given.rest().isEmpty()) {
      String name = Conversions.text(given.rest().get(0));
      Arguments arguments = given.others().after(1);
      change = item -> apply(run, name, item, arguments);
    } else {
      throw new TemplateException("map requires a filter or an attribute");
    }
    List<Value> items = new ArrayList<>();
    for (Value item : optional(run, value)) {
      run.budget().step();
      items.add(change.apply(item));
    }
    return run.budget().stream(items);
  }

  /** Treats every false value as an empty list. */
  private static List<Value> optional(Evaluation run, Value value) {
    return value.truth() ? run.items(value) : List.of();
  }

  /**
   * Selects items by a test.
   *
   * @param before the number of arguments before the name of the test
   */
  private static Value chosen(
      Evaluation run, Value value, Builtin.Given given, int before, boolean wanted) {
    if (given.rest().size() < before) {
      throw new TemplateException("the name of the attribute is missing");
    }
    Function<Value, Value> path = before == 0 ? item -> item : path(run, given.rest().get(0));
    boolean tested = given.rest().size() > before;
    String name = tested ? Conversions.text(given.rest().get(before)) : "";
    Arguments arguments = given.others().after(tested ? before + 1 : before);
    List<Value> items = new ArrayList<>();
    for (Value item : optional(run, value)) {
      run.budget().step();
      Value own = path.apply(item);
      boolean holds = tested ? Tests.holds(run, name, own, arguments) : own.truth();
      if (holds == wanted) {
        items.add(item);
      }
    }
    return run.budget().stream(items);
  }

  private static Function<Value, Value> path(Evaluation run, Value attribute) {
    return path(run, attribute, null);
  }

  /** Resolves a path of names and indexes that are separated by dots. */
  private static Function<Value, Value> path(Evaluation run, Value attribute, Value otherwise) {
    List<Value> keys = new ArrayList<>();
    if (attribute instanceof Value.Text text) {
      for (String part : text.value().split("\\.", -1)) {
        boolean number = !part.isEmpty() && part.chars().allMatch(c -> c >= '0' && c <= '9');
        Value key =
            number
                ? Numerals.parsedWhole(part, 10).map(Value.class::cast).orElseThrow()
                : new Value.Text(part);
        keys.add(key);
      }
    } else {
      keys.add(attribute);
    }
    return item -> {
      Value value = item;
      for (Value key : keys) {
        run.budget().step();
        value = Attributes.item(run, value, key);
        if (otherwise != null && value instanceof Value.Undefined) {
          value = otherwise;
        }
      }
      return value;
    };
  }

  private static List<Value> attributes(Evaluation run, Value value, Builtin.Given given) {
    List<Value> items = run.items(value);
    if (!given.has("attribute")) {
      return items;
    }
    Function<Value, Value> path = path(run, given.get("attribute"));
    List<Value> found = new ArrayList<>(items.size());
    items.forEach(item -> found.add(path.apply(item)));
    return found;
  }

  private static Value otherwise(Evaluation run, Value value, Builtin.Given given) {
    boolean replaced =
        value instanceof Value.Undefined || given.flag("boolean", false) && !value.truth();
    return replaced ? given.get("default_value", new Value.Text("")) : value;
  }
}
