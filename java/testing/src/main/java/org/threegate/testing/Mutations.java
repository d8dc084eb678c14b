package org.threegate.testing;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamWriteConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;

/**
 * Changes valid files at random: bytes, lines, values in JSON, or values in safetensors headers.
 *
 * <pre>{@code
 * byte[] other = new Mutations(Seeds.random("example")).of(new byte[] {1, 2, 3});
 * }</pre>
 */
public final class Mutations {
  // A mutation may nest one deep value in another, so texts are written deeper than they are read.
  private static final ObjectMapper MAPPER =
      new ObjectMapper(
          JsonFactory.builder()
              .streamWriteConstraints(
                  StreamWriteConstraints.builder().maxNestingDepth(100_000).build())
              .build());
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final int LARGEST = 1 << 20;

  private static final String[] TEXTS = {
    "",
    " ",
    "x",
    "\0",
    "\u202e",
    "\ud800",
    "\ufdfa",
    "e\u0301",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "..",
    "BF16",
    "F64",
    "Sequence",
    "(a+)+b",
    "(.*)*x",
    "((.*)*)*proj",
    "(?:a?){100}b",
    "\\s+$",
    "^",
    "[",
    "(",
    "\\",
    "a{1,100000}",
    "{% for x in y %}",
    "{{",
    "-1",
    "1e999",
    "null",
    "\n",
    "<0xE2>",
    "\u2581"
  };

  /** Fragments of templates and settings. */
  private static final String[] SNIPPETS = {
    "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{{ '%2000000000d'|format(1) }}",
    "{{ 'x' * 1000000000 }}",
    "{{ range(1000000000)|list }}",
    "{{ messages.__class__ }}",
    "{{ ''.join(messages) }}",
    "{{ messages[0]['role'].split('') }}",
    "{{ messages|tojson(indent=1000000000) }}",
    "{% for ____int3rpr3t3r____, x in [messages] %}{{ x }}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ raise_exception('no') }}",
    "{% include '/etc/passwd' %}",
    "{% generation %}",
    "{% endfor %}",
    "{% if true %}",
    "{%- else %}",
    "{# ",
    "((((",
    "{{ 1 // 0 }}",
    "{{ 2 ** 1000000 }}",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b, *b]\n",
    "a: &a {<<: *a}\n",
    "!!java.net.URL [http://localhost]",
    "seed: 99999999999999999999\n",
    "max_steps: -1\n",
    "max_steps: .inf\n",
    "? ",
    "- ",
    "[[[[[[[[",
    "%YAML 9.9\n",
    "\t",
    ": "
  };

  private static final String[] NUMBERS = {
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1099511627776",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "0.5",
    "-0.0",
    "1e-300",
    "1e308",
    "-1e308",
    "1e999",
    "1e-999"
  };

  private final Random random;

  /** Creates mutations that depend on a random generator only. */
  public Mutations(Random random) {
    this.random = random;
  }

  /** Returns a file with one to four changes that suit its type. */
  public byte[] of(byte[] file) {
    byte[] mutated = file;
    for (int left = 1 + random.nextInt(4) * random.nextInt(2); left > 0; left--) {
      mutated = once(mutated);
    }
    return mutated.length > LARGEST ? Arrays.copyOf(mutated, LARGEST) : mutated;
  }

  private byte[] once(byte[] file) {
    if (random.nextInt(5) == 0) {
      return bytes(file);
    }
    if (file.length > 9 && file[8] == '{' && isHeader(file)) {
      return header(file);
    }
    if (file.length > 1 && (file[0] == '[' || file[0] == '{' && "%{#".indexOf(file[1]) < 0)) {
      return new String(file, StandardCharsets.UTF_8).trim().contains("}\n{")
          ? lines(file)
          : json(file);
    }
    return switch (random.nextInt(4)) {
      case 0 -> lines(file);
      case 1 -> bytes(file);
      default -> isText(file) ? inserted(file) : bytes(file);
    };
  }

  private static boolean isText(byte[] file) {
    for (byte b : file) {
      if (b == 0) {
        return false;
      }
    }
    return true;
  }

  private byte[] inserted(byte[] file) {
    String text = latin(file);
    String snippet = SNIPPETS[random.nextInt(SNIPPETS.length)];
    if (random.nextInt(6) == 0) {
      snippet = snippet.repeat(1 << random.nextInt(12));
    }
    int at = random.nextInt(text.length() + 1);
    if (random.nextBoolean()) {
      // Insertions at the start of a line are more likely to be read.
      at = text.lastIndexOf('\n', at) + 1;
    }
    return (text.substring(0, at) + snippet + text.substring(at))
        .getBytes(StandardCharsets.ISO_8859_1);
  }

  private static boolean isHeader(byte[] file) {
    long length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
    return length > 0 && length <= file.length - 8;
  }

  /** Changes the header of a safetensors file. Its length is usually corrected. */
  private byte[] header(byte[] file) {
    int length = (int) ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
    byte[] header = json(Arrays.copyOfRange(file, 8, 8 + length));
    byte[] data = Arrays.copyOfRange(file, 8 + length, file.length);
    if (random.nextInt(8) == 0) {
      data = bytes(data);
    }
    long said =
        random.nextInt(10) == 0
            ? new BigDecimal(NUMBERS[random.nextInt(15)]).longValue()
            : header.length;
    return ByteBuffer.allocate(8 + header.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(said)
        .put(header)
        .put(data)
        .array();
  }

  private byte[] lines(byte[] file) {
    List<String> lines =
        new ArrayList<>(
            Arrays.asList(new String(file, StandardCharsets.ISO_8859_1).split("\n", -1)));
    int at = random.nextInt(lines.size());
    switch (random.nextInt(6)) {
      case 0 -> lines.remove(at);
      case 1 -> lines.add(random.nextInt(lines.size() + 1), lines.get(at));
      case 2 -> lines.addAll(at, List.copyOf(lines.subList(0, at)));
      case 3 -> lines.set(at, "");
      default ->
          lines.set(
              at,
              latin(
                  lines.get(at).startsWith("{")
                      ? json(lines.get(at).getBytes(StandardCharsets.ISO_8859_1))
                      : bytes(lines.get(at).getBytes(StandardCharsets.ISO_8859_1))));
    }
    return String.join("\n", lines).getBytes(StandardCharsets.ISO_8859_1);
  }

  private static String latin(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  /** Changes some bytes. */
  public byte[] bytes(byte[] file) {
    if (file.length == 0) {
      return new byte[] {(byte) random.nextInt()};
    }
    int at = random.nextInt(file.length);
    byte[] mutated = file.clone();
    switch (random.nextInt(7)) {
      case 0 -> {
        return Arrays.copyOf(file, at);
      }
      case 1 -> mutated[at] ^= (byte) (1 << random.nextInt(8));
      case 2 -> mutated[at] = (byte) (random.nextBoolean() ? 0 : 0xFF);
      case 3 -> mutated[at] = (byte) random.nextInt();
      case 4 -> {
        int length = Math.min(file.length - at, 1 + random.nextInt(64));
        int to = random.nextInt(file.length - length + 1);
        System.arraycopy(file, at, mutated, to, length);
      }
      case 5 -> {
        int length = Math.min(file.length - at, 1 + random.nextInt(200));
        mutated = new byte[file.length + length];
        System.arraycopy(file, 0, mutated, 0, at + length);
        System.arraycopy(file, at, mutated, at + length, file.length - at);
      }
      default -> {
        byte[] word =
            ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(number()).array();
        System.arraycopy(word, 0, mutated, at, Math.min(1 << random.nextInt(4), file.length - at));
      }
    }
    return mutated;
  }

  private long number() {
    return new BigDecimal(NUMBERS[random.nextInt(15)]).longValue();
  }

  /** Changes one value of a JSON text, or some bytes if it is not JSON. */
  public byte[] json(byte[] text) {
    JsonNode tree;
    try {
      tree = MAPPER.readTree(new String(text, StandardCharsets.UTF_8));
    } catch (JsonProcessingException e) {
      return bytes(text);
    }
    if (tree == null || tree.isEmpty()) {
      return bytes(text);
    }
    change(tree, any(tree));
    // Placeholders for numbers that a node cannot hold.
    return written(tree)
        .replace("\"\\u0001raw:1e999\"", "1e999")
        .replace("\"\\u0001raw:1e-999\"", "1e-999")
        .getBytes(StandardCharsets.UTF_8);
  }

  private static String written(JsonNode tree) {
    try {
      return MAPPER.writeValueAsString(tree);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private void change(JsonNode tree, JsonNode other) {
    JsonNode parent = tree;
    JsonNode child = pick(parent);
    while (child.isContainerNode() && !child.isEmpty() && random.nextInt(4) != 0) {
      parent = child;
      child = pick(parent);
    }
    if (child.isEmpty() && child instanceof ObjectNode empty && random.nextBoolean()) {
      empty.set(text(), value(other));
      return;
    }
    if (parent instanceof ObjectNode object) {
      List<String> names = new ArrayList<>();
      object.fieldNames().forEachRemaining(names::add);
      String name = names.get(random.nextInt(names.size()));
      switch (random.nextInt(8)) {
        case 0 -> object.remove(name);
        case 1 -> object.set(text(), object.remove(name));
        case 2 -> object.set(name + "x", object.get(name).deepCopy());
        case 3 -> object.set(name, other.deepCopy());
        case 4 -> object.set(name, object.get(names.get(random.nextInt(names.size()))).deepCopy());
        default -> object.set(name, value(object.get(name)));
      }
    } else if (parent instanceof ArrayNode array) {
      int at = random.nextInt(array.size());
      switch (random.nextInt(8)) {
        case 0 -> array.remove(at);
        case 1 -> array.insert(at, array.get(at).deepCopy());
        case 2 -> {
          for (int i = 1 << random.nextInt(9); i > 0; i--) {
            array.add(array.get(at).deepCopy());
          }
        }
        case 3 -> array.set(at, other.deepCopy());
        case 4 -> array.add(value(array.get(at)));
        default -> array.set(at, value(array.get(at)));
      }
    }
  }

  private JsonNode any(JsonNode tree) {
    JsonNode node = pick(tree);
    while (node.isContainerNode() && !node.isEmpty() && random.nextInt(3) != 0) {
      node = pick(node);
    }
    return node;
  }

  private JsonNode pick(JsonNode parent) {
    int left = random.nextInt(parent.size());
    var children = parent.elements();
    while (left-- > 0) {
      children.next();
    }
    return children.next();
  }

  private JsonNode value(JsonNode old) {
    switch (random.nextInt(10)) {
      case 0 -> {
        return NODES.nullNode();
      }
      case 1 -> {
        return NODES.booleanNode(!old.asBoolean());
      }
      case 2 -> {
        return NODES.textNode(text());
      }
      case 3 -> {
        return numberNode(NUMBERS[random.nextInt(NUMBERS.length)]);
      }
      case 4 -> {
        return random.nextBoolean() ? NODES.arrayNode() : NODES.objectNode();
      }
      case 5 -> {
        JsonNode nested = old.deepCopy();
        for (int depth = 1 << random.nextInt(10); depth > 0; depth--) {
          nested = NODES.arrayNode().add(nested);
        }
        return nested;
      }
      default -> {
        if (old.isNumber()) {
          return random.nextBoolean()
              ? NODES.numberNode(old.asLong() + random.nextInt(5) - 2)
              : numberNode(NUMBERS[random.nextInt(NUMBERS.length)]);
        }
        return old.isTextual() ? NODES.textNode(edited(old.textValue())) : NODES.textNode(text());
      }
    }
  }

  private static JsonNode numberNode(String number) {
    if (number.endsWith("999")) {
      return NODES.textNode("\u0001raw:" + number);
    }
    return number.contains("e") || number.contains(".")
        ? NODES.numberNode(Double.parseDouble(number))
        : NODES.numberNode(new BigDecimal(number));
  }

  private String text() {
    String text = TEXTS[random.nextInt(TEXTS.length)];
    return random.nextInt(8) == 0 ? text.repeat(1 << random.nextInt(14)) : text;
  }

  private String edited(String text) {
    if (text.length() > 100 && random.nextInt(8) != 0) {
      try {
        return Base64.getEncoder().encodeToString(bytes(Base64.getDecoder().decode(text)));
      } catch (IllegalArgumentException e) {
        // The value was a string.
      }
    }
    int at = text.isEmpty() ? 0 : random.nextInt(text.length());
    return switch (random.nextInt(4)) {
      case 0 -> text.substring(0, at);
      case 1 -> text.substring(0, at) + text() + text.substring(at);
      case 2 -> text + text;
      default -> text.substring(0, at) + (char) random.nextInt(0x3000) + text.substring(at);
    };
  }
}
