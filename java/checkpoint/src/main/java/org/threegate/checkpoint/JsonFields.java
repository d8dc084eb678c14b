package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * The fields of a JSON object that somebody else wrote, each with its type and its range: a field
 * that is null is missing, and one that is anything else than it may be is refused by its name.
 *
 * <pre>{@code
 * JsonFields config = JsonFields.read(Path.of("base/config.json"));
 * int layers = config.requiredInteger("num_hidden_layers", 1, 1000);
 * double theta = config.object("rope_parameters").number("rope_theta", 2, 1e15).orElse(10000);
 * }</pre>
 */
public final class JsonFields {
  private final JsonNode node;
  private final String where;
  private final String prefix;

  private JsonFields(JsonNode node, String where, String prefix) {
    this.node = node;
    this.where = where;
    this.prefix = prefix;
  }

  /**
   * Of the object in a file.
   *
   * @throws InvalidInputException when there is none
   */
  public static JsonFields read(Path path) {
    return of(Json.readObject(path), path.toString());
  }

  /**
   * @param where the object comes from, for errors
   */
  public static JsonFields of(JsonNode object, String where) {
    return new JsonFields(object, where, "");
  }

  /** Where the object comes from. */
  public String where() {
    return where;
  }

  /** The names of the fields. */
  public List<String> names() {
    return node.properties().stream().map(Map.Entry::getKey).toList();
  }

  /** The value of a field as it is; missing where that is null. */
  public JsonNode value(String name) {
    JsonNode value = node.path(name);
    return value.isNull() ? MissingNode.getInstance() : value;
  }

  /** Whether a field is there, and not null. */
  public boolean has(String name) {
    return !value(name).isMissingNode();
  }

  /** The fields of an object in a field; none where it is missing. */
  public JsonFields object(String name) {
    if (has(name) && !value(name).isObject()) {
      throw refused(name, "an object");
    }
    return new JsonFields(value(name), where, prefix + name + ".");
  }

  /** A whole number; 8.0 is one, too. */
  public OptionalInt integer(String name, int least, int most) {
    return has(name)
        ? OptionalInt.of(integer(name, value(name), least, most))
        : OptionalInt.empty();
  }

  /** A whole number that has to be there. */
  public int requiredInteger(String name, int least, int most) {
    return integer(name, value(name), least, most);
  }

  /** Whole numbers, of which one may stand without a list around it; none where it is missing. */
  public List<Integer> integers(String name, int least, int most) {
    JsonNode value = value(name);
    List<Integer> values = new ArrayList<>();
    if (value.isArray()) {
      value.forEach(element -> values.add(integer(name, element, least, most)));
    } else if (has(name)) {
      values.add(integer(name, value, least, most));
    }
    return values;
  }

  private int integer(String name, JsonNode value, int least, int most) {
    double number = value.isNumber() ? value.doubleValue() : Double.NaN;
    if (!(number >= least && number <= most) || number != Math.rint(number)) {
      throw refused(name, value, "a whole number from " + least + " to " + most);
    }
    return (int) number;
  }

  /** A number; that it is finite follows from its range. */
  public OptionalDouble number(String name, double least, double most) {
    return has(name)
        ? OptionalDouble.of(requiredNumber(name, least, most))
        : OptionalDouble.empty();
  }

  /** A number that has to be there. */
  public double requiredNumber(String name, double least, double most) {
    double number = value(name).isNumber() ? value(name).doubleValue() : Double.NaN;
    if (!(number >= least && number <= most)) {
      throw refused(name, "a number from " + least + " to " + most);
    }
    return number;
  }

  /** True or false. */
  public boolean flag(String name, boolean otherwise) {
    if (has(name) && !value(name).isBoolean()) {
      throw refused(name, "true or false");
    }
    return value(name).asBoolean(otherwise);
  }

  /** A text. */
  public Optional<String> text(String name) {
    if (has(name) && !value(name).isTextual()) {
      throw refused(name, "a text");
    }
    return Optional.ofNullable(value(name).textValue());
  }

  /**
   * The error for a field that is not what it must be.
   *
   * @param must what that is, such as "a positive number"
   */
  public InvalidInputException refused(String name, String must) {
    return refused(name, value(name), must);
  }

  private InvalidInputException refused(String name, JsonNode value, String must) {
    return new InvalidInputException(
        where
            + ": "
            + prefix
            + name
            + (value.isMissingNode()
                ? " is missing"
                : " is " + PrintableText.name(value.toString()))
            + "; it must be "
            + must);
  }
}
