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
   * @param path path of a file of at most 100 MB
   * @return the fields of the object
   * @throws InvalidInputException if the file is not a JSON object
   */
  public static JsonFields read(Path path) {
    return of(Json.readObject(path), path.toString());
  }

  /**
   * {@return the fields of an object}
   *
   * @param object a JSON object
   * @param where source of the object, named in errors
   */
  public static JsonFields of(JsonNode object, String where) {
    return new JsonFields(object, where, "");
  }

  /** {@return the source of the object} */
  public String where() {
    return where;
  }

  /** {@return the names of the fields} */
  public List<String> names() {
    return node.properties().stream().map(Map.Entry::getKey).toList();
  }

  /**
   * {@return the value of a field; a missing node if it is null or missing}
   *
   * @param name name of the field
   */
  public JsonNode value(String name) {
    JsonNode value = node.path(name);
    return value.isNull() ? MissingNode.getInstance() : value;
  }

  /**
   * {@return whether a field is present and not null}
   *
   * @param name name of the field
   */
  public boolean has(String name) {
    return !value(name).isMissingNode();
  }

  /**
   * {@return the fields of an object in a field} There are none if the field is missing.
   *
   * @param name name of the field; another value than an object is refused
   */
  public JsonFields object(String name) {
    if (has(name) && !value(name).isObject()) {
      throw refused(name, "an object");
    }
    return new JsonFields(value(name), where, prefix + name + ".");
  }

  /**
   * {@return a whole number within a range, if the field is present} 8.0 is a whole number.
   *
   * @param name name of the field
   * @param least smallest valid number
   * @param most largest valid number
   */
  public OptionalInt integer(String name, int least, int most) {
    return has(name)
        ? OptionalInt.of(integer(name, value(name), least, most))
        : OptionalInt.empty();
  }

  /**
   * {@return a whole number within a range; the field must be present}
   *
   * @param name name of the field
   * @param least smallest valid number
   * @param most largest valid number
   */
  public int requiredInteger(String name, int least, int most) {
    return integer(name, value(name), least, most);
  }

  /**
   * {@return a list of whole numbers within a range} The field may be a list or a single number.
   * The result is empty if the field is missing.
   *
   * @param name name of the field
   * @param least smallest valid number of the list
   * @param most largest valid number of the list
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

  /**
   * {@return a finite number within a range, if the field is present}
   *
   * @param name name of the field
   * @param least smallest valid number
   * @param most largest valid number
   */
  public OptionalDouble number(String name, double least, double most) {
    return has(name)
        ? OptionalDouble.of(requiredNumber(name, least, most))
        : OptionalDouble.empty();
  }

  /**
   * {@return a finite number within a range; the field must be present}
   *
   * @param name name of the field
   * @param least smallest valid number
   * @param most largest valid number
   */
  public double requiredNumber(String name, double least, double most) {
    double number = value(name).isNumber() ? value(name).doubleValue() : Double.NaN;
    if (!(number >= least && number <= most)) {
      throw refused(name, "a number from " + least + " to " + most);
    }
    return number;
  }

  /**
   * {@return a boolean, or {@code otherwise} if the field is missing}
   *
   * @param name name of the field; another value than a boolean is refused
   * @param otherwise result if the field is missing
   */
  public boolean flag(String name, boolean otherwise) {
    if (has(name) && !value(name).isBoolean()) {
      throw refused(name, "true or false");
    }
    return value(name).asBoolean(otherwise);
  }

  /**
   * {@return a string, if the field is present}
   *
   * @param name name of the field; another value than a string is refused
   */
  public Optional<String> text(String name) {
    if (has(name) && !value(name).isTextual()) {
      throw refused(name, "a text");
    }
    return Optional.ofNullable(value(name).textValue());
  }

  /**
   * {@return the error for an invalid field}
   *
   * @param name name of the field
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
