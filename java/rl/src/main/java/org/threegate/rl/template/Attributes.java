package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Resolves attributes and items: only items of values, and methods from fixed tables. */
final class Attributes {
  /** Methods of Python that are not available: they modify their object, or are not needed. */
  private static final Set<String> WITHHELD =
      Set.of(
          "append",
          "clear",
          "copy",
          "extend",
          "fromkeys",
          "insert",
          "pop",
          "popitem",
          "remove",
          "reverse",
          "setdefault",
          "sort",
          "update");

  /** {@code str.format}. It is defined here because format strings resolve attributes, too. */
  private static final Builtin FORMAT =
      Builtin.of(
          "format",
          "* **",
          (run, own, given) ->
              BraceFormat.of(
                  run,
                  Conversions.text(own),
                  given.others(),
                  new BraceFormat.Lookup() {
                    @Override
                    public Value attribute(Value of, String name) {
                      return Attributes.attribute(of, name);
                    }

                    @Override
                    public Value item(Value of, Value key) {
                      return Attributes.item(run, of, key);
                    }
                  }));

  private Attributes() {}

  /** Evaluates {@code of.name}: a method, or else an item. */
  static Value attribute(Value of, String name) {
    Optional<Value> own = own(of, name);
    if (own.isPresent()) {
      return own.get();
    }
    if (of instanceof Value.Dict dict) {
      Value item = dict.entries().get(new Value.Text(name));
      return item == null ? missing(of, name) : item;
    }
    return missing(of, name);
  }

  private static Value missing(Value of, String name) {
    return new Value.Undefined("a value of type " + of.type() + " has no \"" + name + "\"");
  }

  private static Optional<Value> own(Value of, String name) {
    Conversions.requireDefined(of);
    if (of instanceof Value.Namespace space) {
      return Optional.ofNullable(space.values().get(name));
    }
    if (of instanceof Loop loop) {
      return Optional.of(loop.attribute(name));
    }
    if (of instanceof Cycler cycler) {
      return Optional.of(cycler.attribute(name));
    }
    if (of instanceof Value.Listing list && list.kind() == Value.Kind.GROUP) {
      if (name.equals("grouper")) {
        return Optional.of(list.items().get(0));
      }
      if (name.equals("list")) {
        return Optional.of(list.items().get(1));
      }
    }
    if (of instanceof Value.Text && name.equals(FORMAT.name())) {
      return Optional.of(new Builtin.Bound(FORMAT, of));
    }
    Builtin method = Methods.of(of).get(name);
    if (method != null) {
      return Optional.of(new Builtin.Bound(method, of));
    }
    return WITHHELD.contains(name) && (of instanceof Value.Dict || of instanceof Value.Listing)
        ? Optional.of(new Value.Undefined("\"" + name + "\" is not for templates"))
        : Optional.empty();
  }

  /** Evaluates {@code of[key]}: an item, or else a method. */
  static Value item(Evaluation run, Value of, Value key) {
    Conversions.requireDefined(of);
    if (of instanceof Value.Dict dict && Conversions.isKey(key)) {
      run.budget().work(key.weight());
      Value item = dict.entries().get(key);
      if (item != null) {
        return item;
      }
    }
    if (key instanceof Value.Text name) {
      return own(of, name.value()).orElseGet(() -> missing(of, name.value()));
    }
    if (key instanceof Value.Int || key instanceof Value.Bool) {
      return element(run, of, Conversions.integer(key));
    }
    return missing(of, key.type());
  }

  private static Value element(Evaluation run, Value of, long index) {
    int length =
        of instanceof Value.Text text
            ? text.length()
            : of instanceof Value.Listing list && list.kind().isSubscriptable()
                ? list.items().size()
                : 0;
    long place = index < 0 ? index + length : index;
    if (place < 0 || place >= length) {
      return new Value.Undefined("a value of type " + of.type() + " has no element " + index);
    }
    return of instanceof Value.Text text
        ? part(run, text, place, place + 1)
        : ((Value.Listing) of).items().get((int) place);
  }

  /** Slices code points. */
  private static Value part(Evaluation run, Value.Text text, long first, long last) {
    String value = text.value();
    if (text.isSimple()) {
      return run.budget().text(value.substring((int) first, (int) last));
    }
    run.budget().work(value.length());
    int begin = value.offsetByCodePoints(0, (int) first);
    return run.budget()
        .text(value.substring(begin, value.offsetByCodePoints(begin, (int) (last - first))));
  }

  static Value slice(
      Evaluation run, Value of, Optional<Value> first, Optional<Value> last, Optional<Value> step) {
    Conversions.requireDefined(of);
    boolean text = of instanceof Value.Text;
    if (!text && !(of instanceof Value.Listing list && list.kind().isSubscriptable())) {
      throw new TemplateException("a value of type " + of.type() + " cannot be sliced");
    }
    int length = text ? ((Value.Text) of).length() : ((Value.Listing) of).items().size();
    long by = given(step).map(Conversions::integer).orElse(1L);
    if (by == 0) {
      throw new TemplateException("the step of a slice must not be 0");
    }
    long begin = bound(given(first), length, by, by > 0 ? 0 : length - 1L);
    long end = bound(given(last), length, by, by > 0 ? length : -1L);
    if (text && by == 1) {
      return part(run, (Value.Text) of, begin, Math.max(begin, end));
    }
    List<Value> items = text ? run.items(of) : ((Value.Listing) of).items();
    List<Value> picked = new ArrayList<>();
    for (long i = begin; by > 0 ? i < end : i > end; i += by) {
      run.budget().step();
      picked.add(items.get((int) i));
      if (Math.abs(by) > length) {
        break;
      }
    }
    return text
        ? run.joined(picked, "")
        : run.budget().listing(((Value.Listing) of).kind(), picked);
  }

  private static Optional<Value> given(Optional<Value> bound) {
    return bound.filter(value -> value != Value.None.NONE);
  }

  /** Clamps the bounds of a slice as Python does. */
  private static long bound(Optional<Value> given, int length, long by, long otherwise) {
    if (given.isEmpty()) {
      return otherwise;
    }
    long value = Conversions.integer(given.get());
    long place = value < 0 ? value + length : value;
    return by > 0
        ? Math.max(0, Math.min(length, place))
        : Math.max(-1, Math.min(length - 1L, place));
  }
}
