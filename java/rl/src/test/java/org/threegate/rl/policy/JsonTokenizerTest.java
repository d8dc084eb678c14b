package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.run.InvalidInputException;

/**
 * Tests that tokens equal those of the library in Python, and that files that made the library end
 * the process are rejected in one line.
 */
@Tag("binding")
class JsonTokenizerTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path RESOURCES = Path.of("src/test/resources");

  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bpe-gpt2",
        "bpe-llama2",
        "bpe-llama3",
        "bpe-clip",
        "unigram-t5",
        "wordpiece-bert",
        "wordlevel"
      })
  void tokensAreThoseOfTheLibraryInPython(String name) throws IOException {
    JsonNode cases = JSON.readTree(RESOURCES.resolve("tokenizers.json").toFile()).path(name);
    assertThat(cases).isNotEmpty();
    write(model(name));
    try (Tokenizer tokenizer = JsonTokenizer.load(directory)) {
      for (JsonNode one : cases) {
        int[] tokens = JSON.convertValue(one.path("ids"), int[].class);
        assertThat(tokenizer.encode(one.path("text").asText())).isEqualTo(tokens);
        assertThat(tokenizer.decode(tokens)).isEqualTo(one.path("back").asText());
      }
    }
  }

  /** Expressions of Llama 3, Qwen, DeepSeek, Mistral, gpt-oss, BLOOM, ALBERT and others. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\\d",
        "[0-9][0-9][0-9]",
        "\\p{N}{1,3}",
        " {2,}",
        "\\s+$",
        "[\\r\\n]",
        "\\s?[A-Za-z\u00b5\u00c0-\u00d6]+",
        "\\s?\\p{L}+",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
        "\\d{1,3}(?=(?:\\d{3})*\\b)",
        "<\\|startoftext\\|>|'s|'t|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
        "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}&&[^\\p{Han}]]*[\\p{Ll}&&[^\\p{Han}]]+",
        "(?:\\r?\\n)|[^\\S\\n]+|(?<=[a-z])\\d++"
      })
  void expressionsOfKnownModelsAreTaken(String expression) throws IOException {
    write(split(expression));
    try (Tokenizer tokenizer = JsonTokenizer.load(directory)) {
      assertThat(tokenizer.decode(tokenizer.encode("abc 12345  \n x"))).isNotNull();
    }
  }

  /** Known expressions take linear time even on long texts that could make them backtrack. */
  @Test
  void wellKnownExpressionsAreLinear() throws IOException {
    List<String> known =
        Files.readAllLines(
            Path.of("src/main/resources/org/threegate/rl/policy/split-expressions.txt"));
    assertThat(known).hasSizeGreaterThan(5);
    for (String expression : known) {
      write(split(expression));
      try (Tokenizer tokenizer = JsonTokenizer.load(directory)) {
        for (String text : List.of(" ", "\n", "a", "A", "\u0301", "1", ".", " \n", "Aa")) {
          assertThat(tokenizer.encode(text.repeat(400_000 / text.length()))).isNotNull();
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a+)+b",
        "(a|aa)+b",
        "(?:a?){100}b",
        "a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaa",
        "\\s+\\s+x",
        "(?:\\w+\\s?)*$",
        "(a)\\1",
        "(?<n>a)\\k<n>",
        "(?R)",
        "(?~a)",
        "\\X+b",
        "a{1000000}",
        "a{5,2}",
        "((((((a))))))",
        "[a",
        "[]a]",
        "(",
        ")",
        "a**",
        "*",
        "\\",
        "\\p{",
        "(?<=a+)b",
        "^*"
      })
  void expressionsThatRunAwayAreRefused(String expression) throws IOException {
    refused(split(expression), "pre_tokenizer.pattern.Regex");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "{'type':'Prepend','prepend':''}; normalizer.prepend",
        "{'type':'Replace','pattern':{'Regex':'^'},'content':'x'}; normalizer.pattern",
        "{'type':'Replace','pattern':{'String':''},'content':'x'}; normalizer.pattern",
        "{'type':'Precompiled','precompiled_charsmap':'!'}; normalizer.precompiled_charsmap",
        "{'type':'Precompiled','precompiled_charsmap':''}; normalizer.precompiled_charsmap",
        "{'type':'Precompiled','precompiled_charsmap':null}; normalizer.precompiled_charsmap",
        "{'type':'Other'}; normalizer.type",
        "{'type':'Sequence','normalizers':[null]}; normalizer.normalizers[0]",
        "{'type':'Sequence','normalizers':{}}; normalizer.normalizers",
        "[]; normalizer"
      })
  void normalizersThatEndTheProcessAreRefused(String part, String field) throws IOException {
    ObjectNode model = model("bpe-gpt2");
    model.set("normalizer", JSON.readTree(part.replace('\'', '"')));
    refused(model, field);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "decoder; {'type':'Strip','content':' ','start':0,'stop':1}; decoder.stop",
        "decoder; {'type':'Strip','content':'ab','start':0,'stop':0}; decoder.content",
        "decoder; {'type':'CTC','pad_token':1}; decoder.pad_token",
        "decoder; 1e300; decoder",
        "pre_tokenizer; {'type':'FixedLength','length':0}; pre_tokenizer.length",
        "pre_tokenizer; {'type':'Metaspace','replacement':''}; pre_tokenizer.replacement",
        "added_tokens; [{'id':4294967295,'content':'a'}]; added_tokens[0].id",
        "model; {'type':'Unigram','vocab':[],'unk_id':0}; model.unk_id",
        "model; {'type':'Unigram','vocab':[['a',1e999]]}; model.vocab",
        "model; {'type':'WordLevel','vocab':{'a':4294967296},'unk_token':'a'}; model.vocab",
        "model; {'type':'BPE','vocab':{'a':0},'merges':[],'dropout':0.5}; model.dropout",
        "model; {'type':'BPE','vocab':{'a':0}}; model.merges",
        "model; null; model"
      })
  void otherPartsThatEndTheProcessAreRefused(String name, String part, String field)
      throws IOException {
    ObjectNode model = model("bpe-gpt2");
    model.set(name, JSON.readTree(part.replace('\'', '"').replace("1e999", "\"1e999\"")));
    refused(model, field);
  }

  @Test
  void mergesWithoutThePrefixOfWordsAreRefused() throws IOException {
    ObjectNode model = model("bpe-gpt2");
    ((ObjectNode) model.path("model")).put("continuing_subword_prefix", "\u00e9\u00e9");
    refused(model, "model.merges");
  }

  /** A token that normalization leaves empty would match between the bytes of a character. */
  @Test
  void tokensOfWhichNothingIsLeftAreRefused() throws IOException {
    ObjectNode model = model("bpe-gpt2");
    model.set("normalizer", JSON.readTree("{\"type\":\"Strip\"}"));
    model.set("added_tokens", JSON.readTree("[{\"id\":0,\"content\":\"  \",\"normalized\":true}]"));
    refused(model, "added_tokens");
  }

  @Test
  void blankTokensBetweenThoseThatReachAreRefused() throws IOException {
    ObjectNode model = model("bpe-gpt2");
    model.set(
        "added_tokens",
        JSON.readTree(
            "[{\"id\":0,\"content\":\"a\",\"rstrip\":true},"
                + "{\"id\":1,\"content\":\" \",\"lstrip\":true}]"));
    refused(model, "added_tokens");
  }

  /** These normalizers would make a text 2^60 times as long. */
  @Test
  void normalizersThatDoubleAgainAndAgainAreRefused() throws IOException {
    ObjectNode model = model("bpe-gpt2");
    String twice = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"},";
    model.set(
        "normalizer",
        JSON.readTree(
            "{\"type\":\"Sequence\",\"normalizers\":["
                + twice.repeat(60)
                + "{\"type\":\"NFC\"}]}"));
    refused(model, "tokenizer.json");
  }

  @Test
  void piecesAsDeepAsTheStackAreRefused() throws IOException {
    ObjectNode model = model("unigram-t5");
    ((com.fasterxml.jackson.databind.node.ArrayNode) model.path("model").path("vocab"))
        .addArray()
        .add("a".repeat(1_000_000))
        .add(-1.0);
    refused(model, "model.vocab");
  }

  /** Sizes and offsets that lead outside the table are rejected. */
  @Test
  void damagedTablesAreRefused() throws IOException {
    byte[] table = table();
    assertThat(NormalizationTable.growth(table)).isBetween(1.0, 40.0);
    int trie = ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN).getInt();
    for (int said : new int[] {0, 1, -4, trie + 1, trie + 4_000, Integer.MAX_VALUE}) {
      byte[] damaged = table.clone();
      ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putInt(said);
      assertThatThrownBy(() -> NormalizationTable.growth(damaged))
          .as("trie of %s bytes", said)
          .isInstanceOf(IllegalArgumentException.class);
    }
    byte[] out = table.clone();
    ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN).putInt(4, 0x7FFFFC00);
    assertThatThrownBy(() -> NormalizationTable.growth(out))
        .hasMessageContaining("offset out of range");
    ObjectNode model = model("unigram-t5");
    ((ObjectNode) model.path("normalizer").path("normalizers").path(0))
        .put("precompiled_charsmap", Base64.getEncoder().encodeToString(out));
    refused(model, "normalizer.normalizers[0].precompiled_charsmap");
  }

  private static byte[] table() throws IOException {
    return Base64.getDecoder()
        .decode(
            model("unigram-t5")
                .path("normalizer")
                .path("normalizers")
                .path(0)
                .path("precompiled_charsmap")
                .asText());
  }

  @Test
  void whatIsNoFileOrNoJsonIsOneLine() throws IOException {
    assertThatThrownBy(() -> JsonTokenizer.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("no such file");
    for (byte[] bytes :
        List.of(
            new byte[0],
            "[".repeat(100_000).getBytes(),
            "{\"model\":".getBytes(),
            "{}{}".getBytes(),
            new byte[] {'{', '"', (byte) 0xFF, '"', ':', '1', '}'})) {
      Files.write(directory.resolve("tokenizer.json"), bytes);
      assertThatThrownBy(() -> JsonTokenizer.load(directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("tokenizer.json")
          .hasMessageNotContaining("\n");
    }
  }

  @Test
  void longTextsAndManyTokensAreRefusedAndHalfCharactersAreMarks() throws IOException {
    write(model("wordlevel"));
    try (Tokenizer tokenizer = JsonTokenizer.load(directory)) {
      assertThatThrownBy(() -> tokenizer.encode("a".repeat(5_000_000)))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("the limit is");
      assertThat(tokenizer.encode("a\ud800")).isEqualTo(tokenizer.encode("a?"));
      assertThat(tokenizer.encode("")).isEmpty();
      assertThat(tokenizer.decode(new int[0])).isEmpty();
      assertThat(tokenizer.decode(new int[] {-1, Integer.MAX_VALUE})).isEmpty();
    }
  }

  /** If one thread closes the tokenizer while others encode, they get an exception. */
  @Test
  void closingWhileOthersEncodeIsSafe() throws Exception {
    write(model("bpe-llama3"));
    ExecutorService threads = Executors.newFixedThreadPool(3);
    try {
      for (int round = 0; round < 200; round++) {
        JsonTokenizer tokenizer = JsonTokenizer.load(directory);
        List<Future<?>> others =
            List.of(
                threads.submit(() -> useUntilClosed(tokenizer)),
                threads.submit(() -> useUntilClosed(tokenizer)));
        Thread.sleep(0, 100_000);
        tokenizer.close();
        tokenizer.close();
        for (Future<?> other : others) {
          other.get();
        }
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static void useUntilClosed(Tokenizer tokenizer) {
    assertThatThrownBy(
            () -> {
              while (true) {
                tokenizer.decode(tokenizer.encode("The quick brown fox"));
              }
            })
        .isInstanceOf(IllegalStateException.class);
  }

  private void refused(ObjectNode model, String field) throws IOException {
    write(model);
    assertThatThrownBy(() -> JsonTokenizer.load(directory).close())
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith(directory.resolve("tokenizer.json") + ": ")
        .hasMessageContaining(field)
        .hasMessageNotContaining("\n");
  }

  private void write(ObjectNode model) throws IOException {
    JSON.writeValue(directory.resolve("tokenizer.json").toFile(), model);
  }

  private static ObjectNode model(String name) throws IOException {
    return (ObjectNode) JSON.readTree(RESOURCES.resolve("tokenizers/" + name + ".json").toFile());
  }

  private static ObjectNode split(String expression) throws IOException {
    ObjectNode model = model("bpe-gpt2");
    ObjectNode part = JSON.createObjectNode().put("type", "Split").put("behavior", "Isolated");
    part.put("invert", false).putObject("pattern").put("Regex", expression);
    model.set("pre_tokenizer", part);
    return model;
  }
}
