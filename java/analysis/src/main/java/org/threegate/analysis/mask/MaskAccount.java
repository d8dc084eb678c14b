package org.threegate.analysis.mask;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Json;
import org.threegate.run.InvalidInputException;

/** The account of a checkpoint's tensors in the metadata of a mask file. */
final class MaskAccount {
  /** Key of the metadata. */
  static final String KEY = "coverage";

  private static final String MASKED = "masked";
  private static final String LEFT_OUT = "leftOut";
  private static final String REFUSED = "refused";
  private static final String CONSUMED = "consumed";
  private static final String NOT_SELECTED = "notSelected";
  private static final String EXCLUDED = "excluded";
  private static final String WEIGHTS = "weights";
  private static final String ENTRIES = "entries";
  private static final String ALL = "all";
  private static final String TENSOR = "tensor";
  private static final String REASON = "reason";

  private MaskAccount() {}

  /** Returns the account as a JSON object, with the matrices for which no mask is defined. */
  static String encode(Accounting.Side side, List<Accounting.Note> excluded) {
    ObjectNode node = JsonNodeFactory.instance.objectNode();
    share(node.putObject(ENTRIES), side.entries());
    share(node.putObject(WEIGHTS), side.weights());
    side.compared().forEach(node.putArray(MASKED)::add);
    notes(node.putArray(LEFT_OUT), side.leftOut());
    notes(node.putArray(REFUSED), side.refused());
    notes(node.putArray(CONSUMED), side.consumed());
    side.notSelected().forEach(node.putArray(NOT_SELECTED)::add);
    notes(node.putArray(EXCLUDED), excluded);
    return node.toString();
  }

  private static void share(ObjectNode node, Accounting.Share share) {
    node.put(MASKED, share.compared()).put(ALL, share.all());
  }

  private static void notes(ArrayNode array, List<Accounting.Note> notes) {
    notes.forEach(note -> array.addObject().put(TENSOR, note.tensor()).put(REASON, note.reason()));
  }

  /**
   * Returns the account. What is missing is empty.
   *
   * @param where names the file in errors
   */
  static Accounting.Side decode(String text, String where) {
    return decode(
        text,
        where,
        node ->
            new Accounting.Side(
                list(node.path(MASKED), MaskAccount::text),
                List.of(),
                list(node.path(CONSUMED), MaskAccount::note),
                list(node.path(REFUSED), MaskAccount::note),
                list(node.path(LEFT_OUT), MaskAccount::note),
                List.of(),
                list(node.path(NOT_SELECTED), MaskAccount::text),
                share(node.path(WEIGHTS)),
                share(node.path(ENTRIES))));
  }

  /**
   * Returns the matrices for which no mask is defined.
   *
   * @param where names the file in errors
   */
  static List<Accounting.Note> excluded(String text, String where) {
    return decode(text, where, node -> list(node.path(EXCLUDED), MaskAccount::note));
  }

  private static <T> T decode(String text, String where, Function<JsonNode, T> reading) {
    try {
      return reading.apply(Json.parseObject(text, where));
    } catch (InvalidInputException | IllegalArgumentException e) {
      throw new InvalidInputException(
          where + ": metadata \"" + KEY + "\" is not an account of tensors", e);
    }
  }

  private static <T> List<T> list(JsonNode array, Function<JsonNode, T> element) {
    if (!array.isMissingNode() && !array.isArray()) {
      throw new IllegalArgumentException("not a list");
    }
    List<T> list = new ArrayList<>();
    array.forEach(node -> list.add(element.apply(node)));
    return list;
  }

  private static String text(JsonNode node) {
    if (!node.isTextual()) {
      throw new IllegalArgumentException("not a text");
    }
    return node.textValue();
  }

  private static Accounting.Note note(JsonNode node) {
    return new Accounting.Note(text(node.path(TENSOR)), text(node.path(REASON)));
  }

  private static Accounting.Share share(JsonNode node) {
    return new Accounting.Share(number(node.path(MASKED)), number(node.path(ALL)));
  }

  private static long number(JsonNode node) {
    boolean valid = node.isMissingNode() || node.isIntegralNumber() && node.canConvertToLong();
    if (!valid || node.asLong() < 0) {
      throw new IllegalArgumentException("not a number of entries");
    }
    return node.asLong();
  }
}
