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
 * The fields of an untrusted JSON object, read with a type and a range. A field that is null counts
 * as missing. A field of another type or out of range is refused; the error names it.
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
   * Reads the object in a file.
   *
   * @throws InvalidInputException if the file is not a JSON object
   */
  public static JsonFields read(Path path) {
    return of(Json.readObject(path), path.toString());
  }

  /**
   * Returns the fields of an object.
   *
   * @param where source of the object, named in errors
   */
  public static JsonFields of(JsonNode object, String where) {
    return new JsonFields(object, where, "");
  }

  /** Returns the source of the object. */
  public String where() {
    return where;
  }

  /** Returns the names of the fields. */
  public List<String> names() {
    return node.properties().stream().map(Map.Entry::getKey).toList();
  }

  /** Returns the value of a field; a missing node if it is null or missing. */
  public JsonNode value(String name) {
    JsonNode value = node.path(name);
    return value.isNull() ? MissingNode.getInstance() : value;
  }

  /** Returns whether a field is present and not null. */
  public boolean has(String name) {
    return !value(name).isMissingNode();
  }

  /** Returns the fields of an object in a field. There are none if the field is missing. */
  public JsonFields object(String name) {
    if (has(name) && !value(name).isObject()) {
      throw refused(name, "an object");
    }
    return new JsonFields(value(name), where, prefix + name + ".");
  }

  /** Returns a whole number within a range, if the field is present. 8.0 is a whole number. */
  public OptionalInt integer(String name, int least, int most) {
    return has(name)
        ? OptionalInt.of(integer(name, value(name), least, most))
        : OptionalInt.empty();
  }

  /** Returns a whole number within a range; the field must be present. */
  public int requiredInteger(String name, int least, int most) {
    return integer(name, value(name), least, most);
  }

  /**
   * Returns a list of whole numbers within a range. The field may be a list or a single number. The
   * result is empty if the field is missing.
   */
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

  /** Returns a finite number within a range, if the field is present. */
  public OptionalDouble number(String name, double least, double most) {
    return has(name)
        ? OptionalDouble.of(requiredNumber(name, least, most))
        : OptionalDouble.empty();
  }

  /** Returns a finite number within a range; the field must be present. */
  public double requiredNumber(String name, double least, double most) {
    double number = value(name).isNumber() ? value(name).doubleValue() : Double.NaN;
    if (!(number >= least && number <= most)) {
      throw refused(name, "a number from " + least + " to " + most);
    }
    return number;
  }

  /** Returns a boolean, or {@code otherwise} if the field is missing. */
  public boolean flag(String name, boolean otherwise) {
    if (has(name) && !value(name).isBoolean()) {
      throw refused(name, "true or false");
    }
    return value(name).asBoolean(otherwise);
  }

  /** Returns a string, if the field is present. */
  public Optional<String> text(String name) {
    if (has(name) && !value(name).isTextual()) {
      throw refused(name, "a text");
    }
    return Optional.ofNullable(value(name).textValue());
  }

  /**
   * Returns the error for an invalid field.
   *
   * @param must what the field must be, such as "a positive number"
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
