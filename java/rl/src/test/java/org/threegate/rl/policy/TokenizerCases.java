package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.Mutations;

/**
 * A program that loads and uses mutated tokenizers, because they may crash the process. Its
 * arguments are {@code MODELS DIRECTORY SEED FIRST END}. It prints the number of each case before
 * the case begins.
 */
final class TokenizerCases {
  private static final String[] WORDS = {
    "a",
    "12",
    " ",
    "  ",
    "\n",
    "\r\n",
    "The",
    "'s",
    "\u0001",
    "\0",
    "e\u0301",
    "\u0301",
    "\ufdfa",
    "\ufb01",
    "\u2581",
    "\u65e5\u672c",
    "\u0440\u0443",
    "\ud83d\ude00",
    "\ud800",
    "\u200b",
    "\u3000",
    "|",
    "##",
    "</w>",
    "<0x41>",
    "<s>",
    "<|endoftext|>",
    "<extra_id_0>",
    "[MASK]",
    "mask",
    "ABC",
    "\u0130",
    "\u1e9e",
    "\uff21",
    "-.,!?",
    "\t",
    "\u0e33",
    "\u1100\u1161\u11a8",
    "\ud834\udd5e"
  };

  private static final String[] MORE_PARTS = {
    "normalizer{'type':'NFD'}",
    "normalizer{'type':'NFKD'}",
    "normalizer{'type':'ByteLevel'}",
    "normalizer{'type':'Strip','strip_left':true,'strip_right':false}",
    "normalizer{'type':'Replace','pattern':{'Regex':'a|e.'},'content':''}",
    "normalizer{'type':'Replace','pattern':{'Regex':'.'},'content':'\u1e9e\u0301'}",
    "normalizer{'type':'Replace','pattern':{'String':' '},'content':''}",
    "normalizer{'type':'Prepend','prepend':' \u0301'}",
    "pre_tokenizer{'type':'Metaspace','replacement':'a','prepend_scheme':'first','split':false}",
    "pre_tokenizer{'type':'Metaspace','replacement':'_','prepend_scheme':'always'}",
    "pre_tokenizer{'type':'ByteLevel','add_prefix_space':true}",
    "pre_tokenizer{'type':'Split','pattern':{'Regex':''},'behavior':'MergedWithNext','invert':true}",
    "pre_tokenizer{'type':'Split','pattern':{'Regex':'(?=a)|b*'},'behavior':'Contiguous','invert':false}",
    "pre_tokenizer{'type':'Split','pattern':{'String':''},'behavior':'Removed','invert':false}",
    "pre_tokenizer{'type':'Punctuation','behavior':'Contiguous'}",
    "decoder{'type':'Replace','pattern':{'Regex':''},'content':'ab'}",
    "decoder{'type':'Strip','content':'a','start':1000,'stop':0}",
    "decoder{'type':'Metaspace','replacement':'a','prepend_scheme':'never'}"
  };

  private static final ObjectMapper JSON = new ObjectMapper();

  private TokenizerCases() {}

  public static void main(String[] arguments) throws IOException {
    List<byte[]> models = models(Path.of(arguments[0]));
    Path directory = Path.of(arguments[1]);
    long seed = Long.parseLong(arguments[2]);
    Map<String, List<JsonNode>> parts = parts(models);
    int used = 0;
    for (long i = Long.parseLong(arguments[3]); i < Long.parseLong(arguments[4]); i++) {
      System.out.println(i);
      System.out.flush();
      Random random = new Random(31 * seed + i);
      byte[] model = models.get(random.nextInt(models.size()));
      if (random.nextBoolean()) {
        model = recombined(model, parts, random);
      }
      if (random.nextInt(4) != 0) {
        model = new Mutations(random).of(model);
      }
      Files.write(directory.resolve("tokenizer.json"), model);
      used += use(directory, random) ? 1 : 0;
    }
    System.out.println("used " + used);
  }

  /** Returns the parts of all models, those within sequences, and parts that no model has. */
  private static Map<String, List<JsonNode>> parts(List<byte[]> models) throws IOException {
    Map<String, List<JsonNode>> parts = new TreeMap<>();
    for (String kind : List.of("normalizer", "pre_tokenizer", "decoder")) {
      List<JsonNode> all = new ArrayList<>();
      for (byte[] model : models) {
        JsonNode part = JSON.readTree(model).path(kind);
        JsonNode items = part.path(kind.replace("_", "") + "s");
        (items.isArray() ? items : List.of(part)).forEach(all::add);
      }
      for (String part : MORE_PARTS) {
        if (part.startsWith(kind)) {
          all.add(JSON.readTree(part.substring(kind.length()).replace('\'', '"')));
        }
      }
      all.removeIf(JsonNode::isNull);
      parts.put(kind, all);
    }
    return parts;
  }

  /** Returns the model with random parts of other models and with other added tokens. */
  private static byte[] recombined(byte[] model, Map<String, List<JsonNode>> parts, Random random)
      throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(model);
    for (Map.Entry<String, List<JsonNode>> kind : parts.entrySet()) {
      if (random.nextInt(3) != 0) {
        ArrayNode items =
            file.putObject(kind.getKey())
                .put("type", "Sequence")
                .putArray(kind.getKey().replace("_", "") + "s");
        for (int i = random.nextInt(4); i >= 0; i--) {
          items.add(kind.getValue().get(random.nextInt(kind.getValue().size())));
        }
      }
    }
    if (random.nextBoolean()) {
      ArrayNode added = file.putArray("added_tokens");
      for (int i = random.nextInt(5); i >= 0; i--) {
        added
            .addObject()
            .put("id", i)
            .put("content", WORDS[random.nextInt(WORDS.length)].replace("\ud800", ""))
            .put("single_word", random.nextInt(4) == 0)
            .put("lstrip", random.nextInt(4) == 0)
            .put("rstrip", random.nextInt(4) == 0)
            .put("normalized", random.nextBoolean())
            .put("special", random.nextBoolean());
      }
    }
    return JSON.writeValueAsBytes(file);
  }

  static List<byte[]> models(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.sorted().map(TokenizerCases::bytes).toList();
    }
  }

  private static byte[] bytes(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Loads the tokenizer of a directory and uses it on random text and tokens.
   *
   * @return whether it could be loaded
   */
  static boolean use(Path directory, Random random) {
    try (JsonTokenizer tokenizer = JsonTokenizer.load(directory)) {
      for (int i = 0; i < 6; i++) {
        String text = text(random);
        try {
          tokenizer.text(tokenizer.surrounding().around(tokenizer.encode(text)));
          tokenizer.decode(tokenizer.encode(text));
        } catch (InvalidInputException e) {
          oneLine(e);
        }
      }
      int[] tokens = random.ints(20, -3, 400).toArray();
      tokens[0] = Integer.MAX_VALUE;
      tokens[1] = Integer.MIN_VALUE;
      tokenizer.decode(tokens);
      for (int token = 0; token < 300; token++) {
        tokenizer.decode(new int[] {token});
      }
      return true;
    } catch (InvalidInputException e) {
      oneLine(e);
      return false;
    }
  }

  private static void oneLine(InvalidInputException e) {
    if (!e.getMessage().contains("tokenizer.json") || e.getMessage().contains("\n")) {
      throw new AssertionError("the message is not one line that names the file", e);
    }
  }

  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    int parts = 1 << random.nextInt(8);
    for (int i = 0; i < parts; i++) {
      String word = WORDS[random.nextInt(WORDS.length)];
      text.append(random.nextInt(60) == 0 ? word.repeat(1 << random.nextInt(12)) : word);
      if (random.nextInt(20) == 0) {
        text.appendCodePoint(random.nextInt(0x11000));
      }
    }
    return text.toString();
  }
}
