package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.fasterxml.jackson.core.JsonPointer;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Makes JSON documents that differ from a valid one in one value. The value is missing, has another
 * type, or is an unexpected number.
 *
 * <pre>{@code
 * for (JsonMutations.Mutation mutation : JsonMutations.of("{\"layers\": 4}")) {
 *   System.out.println(mutation.what() + ": " + mutation.text());
 * }
 * }</pre>
 */
public final class JsonMutations {
  private static final Duration HANG = Duration.ofSeconds(20);
  private static final String PLACE = "@mutated@";
  private static final ObjectMapper MAPPER = new ObjectMapper();

  // These are texts as in a file: some are not values of Java, and some are not JSON.
  private static final List<String> VALUES =
      List.of(
          "0",
          "-1",
          "-7",
          "3",
          "2147483647",
          "2147483648",
          "30000000",
          "1099511627776",
          "9223372036854775807",
          "9223372036854775808",
          "-9223372036854775808",
          "1" + "0".repeat(400),
          "0.5",
          "-0.0",
          "1e-320",
          "1e308",
          "1e999",
          "-1e999",
          "NaN",
          "true",
          "null",
          "\"12\"",
          "\"\"",
          "\"a\\u0000b\"",
          "[]",
          "[1]",
          "[-7, 1e999]",
          "[[1]]",
          "[1099511627776, 0]",
          "{}",
          "{\"a\": -7}");
  private static final int LONG = 100_000;

  private JsonMutations() {}

  /**
   * A changed document.
   *
   * @param what description of the change, for messages
   */
  public record Mutation(String what, String text) {}

  /** Reads a document. */
  @FunctionalInterface
  public interface Reader {
    void read(String text) throws Exception;
  }

  /** Returns all documents that differ in one value, at any depth. */
  public static List<Mutation> of(String document) {
    try {
      JsonNode root = MAPPER.readTree(document);
      List<Mutation> mutations = new ArrayList<>();
      addAll(mutations, root, root, JsonPointer.empty());
      return mutations;
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(document, e);
    }
  }

  private static void addAll(
      List<Mutation> mutations, JsonNode root, JsonNode container, JsonPointer at) {
    if (container instanceof ObjectNode object) {
      for (String name :
          List.copyOf(object.properties().stream().map(java.util.Map.Entry::getKey).toList())) {
        JsonPointer own = at.appendProperty(name);
        JsonNode value = object.remove(name);
        mutations.add(new Mutation(own + " missing", root.toString()));
        object.put(name, PLACE);
        replace(mutations, root, own);
        object.set(name, value);
        addAll(mutations, root, value, own);
      }
    } else if (container instanceof ArrayNode array) {
      for (int i = 0; i < array.size(); i++) {
        JsonPointer own = at.appendIndex(i);
        JsonNode value = array.get(i);
        array.set(i, array.textNode(PLACE));
        replace(mutations, root, own);
        array.set(i, value);
        addAll(mutations, root, value, own);
      }
      if (!array.isEmpty()) {
        ArrayNode longer = array.deepCopy();
        longer.add(array.get(0));
        JsonNode text = array.deepCopy();
        array.removeAll().add(PLACE);
        String all = root.toString();
        array.removeAll().addAll((ArrayNode) text);
        String first = array.get(0).toString();
        mutations.add(
            new Mutation(
                at + " long", all.replace('"' + PLACE + '"', (first + ",").repeat(LONG) + first)));
        mutations.add(
            new Mutation(at + " longer", all.replace("[\"" + PLACE + "\"]", longer.toString())));
      }
    }
  }

  private static void replace(List<Mutation> mutations, JsonNode root, JsonPointer at) {
    String text = root.toString();
    for (String value : VALUES) {
      mutations.add(new Mutation(at + " = " + value, text.replace('"' + PLACE + '"', value)));
    }
  }

  /**
   * Checks that each changed document is read, or is refused with one short line that names the
   * file.
   *
   * @param refused exception of a refusal
   * @param file text that the message must contain
   * @return the number of refused documents
   */
  public static int requireReadOrRefused(
      String document, Class<? extends Exception> refused, String file, Reader reader) {
    int count = 0;
    for (Mutation mutation : of(document)) {
      if (assertTimeoutPreemptively(
          HANG, () -> isRefused(mutation, refused, file, reader), mutation.what())) {
        count++;
      }
    }
    return count;
  }

  private static boolean isRefused(
      Mutation mutation, Class<? extends Exception> refused, String file, Reader reader) {
    try {
      reader.read(mutation.text());
      return false;
    } catch (Exception | StackOverflowError | OutOfMemoryError e) {
      if (!refused.isInstance(e)) {
        return fail(mutation.what(), e);
      }
      assertThat(e.getMessage())
          .as(mutation.what())
          .contains(file)
          .hasSizeLessThan(700)
          .matches("[^\\p{Cntrl}]*");
      return true;
    }
  }
}
