package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/** Tests that completions are those of transformers' generation. */
@ExtendWith(NativeLeaks.class)
class GenerationTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path RESOURCES = Path.of("src/test/resources");
  private static final float ROUNDING = 2e-5f; // of the expected values, and of float32

  @TempDir Path directory;

  private static JsonNode expected(String name) throws IOException {
    JsonNode expected = JSON.readTree(RESOURCES.resolve(name).toFile());
    assertThat(expected).isNotEmpty();
    return expected;
  }

  private static int[] integers(JsonNode node) {
    return JSON.convertValue(node, int[].class);
  }

  private static List<Integer> list(JsonNode node) {
    List<Integer> values = new ArrayList<>();
    node.forEach(value -> values.add(value.asInt()));
    return values;
  }

  /** Repetition penalty, temperature, top-k, top-p and min-p, in the order of transformers. */
  @Test
  void tokensAreDrawnFromTheDistributionOfTransformers() throws IOException {
    JsonNode given = expected("generation.json").path("processors");
    List<int[]> texts = new ArrayList<>();
    given.path("texts").forEach(text -> texts.add(integers(text)));
    float[][] logits = JSON.convertValue(given.path("logits"), float[][].class);
    int width = logits[0].length;
    float[] flat = new float[logits.length * width];
    for (int i = 0; i < flat.length; i++) {
      flat[i] = logits[i / width][i % width];
    }
    for (JsonNode row : given.path("rows")) {
      SamplingOptions options =
          SamplingOptions.builder(1, List.of())
              .temperature(row.path("temperature").asDouble())
              .topK(row.path("top_k").asInt())
              .topP(row.path("top_p").asDouble())
              .minP(row.path("min_p").asDouble())
              .repetitionPenalty(row.path("repetition_penalty").asDouble())
              .build();
      float[][] found = new float[1][];
      Scopes.run(
          () -> {
            Tensor own = Tensors.of(flat, logits.length, width);
            found[0] = Tensors.floats(LogitsProcessors.logProbabilities(own, texts, options));
          });
      for (int i = 0; i < flat.length; i++) {
        JsonNode wanted = row.path("log_probabilities").path(i / width).path(i % width);
        if (wanted.isNull()) {
          assertThat(found[0][i]).as(options + " " + i).isEqualTo(Float.NEGATIVE_INFINITY);
        } else {
          assertThat(found[0][i])
              .as(options + " " + i)
              .isCloseTo(wanted.floatValue(), within(ROUNDING));
        }
      }
    }
  }

  private JsonTokenizer tokenizer(String name, JsonNode changes, JsonNode config)
      throws IOException {
    ObjectNode model =
        (ObjectNode)
            JSON.readTree(RESOURCES.resolve("tokenizers").resolve(name + ".json").toFile());
    model.setAll((ObjectNode) changes);
    Files.write(directory.resolve("tokenizer.json"), JSON.writeValueAsBytes(model));
    Files.write(directory.resolve("tokenizer_config.json"), JSON.writeValueAsBytes(config));
    return JsonTokenizer.load(directory);
  }

  @Test
  void stopStringsEndTextsWhereTransformersEndsThem() throws IOException {
    Map<String, JsonTokenizer> tokenizers = new HashMap<>();
    int found = 0;
    try {
      for (JsonNode row : expected("generation.json").path("stops")) {
        String name = row.path("tokenizer").asText();
        if (!tokenizers.containsKey(name)) {
          tokenizers.put(name, tokenizer(name, JSON.createObjectNode(), JSON.createObjectNode()));
        }
        List<String> strings = new ArrayList<>();
        row.path("strings").forEach(text -> strings.add(text.asText()));
        StopStrings search = StopStrings.of(tokenizers.get(name), strings);
        int[] prompt = integers(row.path("prompt"));
        int[] tokens = integers(row.path("tokens"));
        int at = -1;
        for (int length = 1; length <= tokens.length && at < 0; length++) {
          Optional<String> text = search.at(prompt, tokens, length);
          at = text.isPresent() ? length : -1;
          found += text.isPresent() ? 1 : 0;
        }
        assertThat(at).as(row.toString()).isEqualTo(row.path("at").asInt());
      }
    } finally {
      tokenizers.values().forEach(JsonTokenizer::close);
    }
    assertThat(found).isGreaterThan(50);
  }

  /** Greedy decoding with the cache, over the maximal length of some models. */
  @Test
  void tokensAreThoseThatTransformersGenerates() throws IOException {
    Map<String, Decoder> models = new HashMap<>();
    try (Context context = Context.open()) {
      for (JsonNode row : expected("generation.json").path("greedy")) {
        Decoder model =
            models.computeIfAbsent(
                row.path("model").asText(),
                name -> Decoder.load(context, RESOURCES.resolve("decoders").resolve(name)));
        int[] wanted = integers(row.path("tokens"));
        List<Integer> ends = list(row.path("eos_token_id"));
        SamplingOptions options =
            SamplingOptions.builder(40, ends)
                .temperature(0)
                .repetitionPenalty(row.path("repetition_penalty").asDouble())
                .build();
        Completion own =
            Sampler.complete(model, List.of(integers(row.path("prompt"))), options, new long[] {1})
                .get(0);
        assertThat(own.tokens()).as(row.toString()).isEqualTo(wanted);
        int last = wanted[wanted.length - 1];
        assertThat(own.finish())
            .isEqualTo(
                ends.contains(last) ? new FinishReason.EndToken(last) : new FinishReason.Length());
      }
    } finally {
      models.values().forEach(Decoder::close);
    }
  }

  @Test
  void specialTokensAreThoseOfTransformers() throws IOException {
    for (JsonNode row : expected("special-tokens.json")) {
      try (Tokenizer tokenizer =
          tokenizer(row.path("tokenizer").asText(), row.path("changes"), row.path("config"))) {
        for (JsonNode text : row.path("texts")) {
          int[] ids = integers(text.path("ids"));
          String what = row.path("tokenizer") + " " + row.path("config") + " " + text;
          assertThat(tokenizer.surrounding().around(tokenizer.encode(text.path("given").asText())))
              .as(what)
              .isEqualTo(ids);
          assertThat(tokenizer.text(ids)).as(what).isEqualTo(text.path("text").asText());
          assertThat(tokenizer.decode(ids)).as(what).isEqualTo(text.path("all").asText());
        }
      }
    }
  }

  @Test
  void tokensThatCannotBeAddedAreRefused() throws IOException {
    Map<String, String> refused =
        Map.of(
            "{'added_tokens_decoder':[]}",
            "added_tokens_decoder is []; it must be an object",
            "{'added_tokens_decoder':{'a':'b'}}",
            "it must be named by a number",
            "{'eos_token':{'content':'new','lstrip':1}}",
            "the token \"new\".lstrip must be true",
            "{'eos_token':'" + "x".repeat(513) + "'}",
            "content has 513 bytes, not 0 to 512",
            "{'bos_token':{'content':' ','lstrip':true},'eos_token':{'content':'e','rstrip':true}}",
            "combines a token with rstrip and a blank token with lstrip");
    for (Map.Entry<String, String> one : refused.entrySet()) {
      JsonNode settings = JSON.readTree(one.getKey().replace('\'', '"'));
      assertThatThrownBy(
              () -> tokenizer("bpe-gpt2", JSON.createObjectNode(), settings), one.getKey())
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("tokenizer")
          .hasMessageContaining(one.getValue());
    }
  }

  @Test
  void postProcessorsThatCannotBeFollowedAreRefused() throws IOException {
    Map<String, String> refused =
        Map.ofEntries(
            Map.entry("[]", "post_processor must be an object"),
            Map.entry("{'type':'Other'}", "post_processor.type must be"),
            Map.entry("{'type':'BertProcessing','cls':['a',1]}", "post_processor.sep"),
            Map.entry(
                "{'type':'BertProcessing','cls':['a',-1],'sep':['a',1]}", "cls must have an id"),
            Map.entry(
                "{'type':'RobertaProcessing','cls':['a',1],'sep':['a',1e300]}",
                "sep must have an id"),
            Map.entry("{'type':'Sequence','processors':[1]}", "processors[0] must be an object"),
            Map.entry("{'type':'Sequence'}", "processors must be a list"),
            Map.entry("{'type':'TemplateProcessing','single':'$A'}", "single must be a list"),
            Map.entry("{'type':'TemplateProcessing','single':[]}", "has the text 0 times"),
            Map.entry(
                "{'type':'TemplateProcessing','single':[{'Sequence':{'id':'B'}}]}",
                "single[0].Sequence.id is not supported"),
            Map.entry(
                "{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'a'}}],'special_tokens':{}}",
                "special_tokens must have the ids"));
    for (Map.Entry<String, String> one : refused.entrySet()) {
      JsonNode part = JSON.readTree(one.getKey().replace('\'', '"'));
      ObjectNode changes = JSON.createObjectNode();
      changes.set("post_processor", part);
      assertThatThrownBy(
              () -> tokenizer("bpe-gpt2", changes, JSON.createObjectNode()), one.getKey())
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("tokenizer.json")
          .hasMessageContaining(one.getValue());
    }
  }

  /** The end tokens of both files count, and others are refused. */
  @Test
  void endTokensOfTheGenerationConfigurationCount() throws IOException {
    Path source = RESOURCES.resolve("decoders/llama/config.json");
    Files.copy(source, directory.resolve("config.json"));
    assertThat(DecoderConfig.read(directory).tokens().ends()).containsExactly(2);
    Path generation = directory.resolve("generation_config.json");
    Map<String, List<Integer>> files =
        Map.of(
            "{\"eos_token_id\": 7}", List.of(2, 7),
            "{\"eos_token_id\": [9, 2, 7]}", List.of(2, 9, 7),
            "{\"eos_token_id\": null, \"temperature\": \"x\"}", List.of(2),
            "{}", List.of(2));
    for (Map.Entry<String, List<Integer>> file : files.entrySet()) {
      Files.writeString(generation, file.getKey());
      assertThat(DecoderConfig.read(directory).tokens().ends()).isEqualTo(file.getValue());
    }
    for (String text :
        List.of("{\"eos_token_id\": 24}", "{\"eos_token_id\": [\"a\"]}", "[]", "{")) {
      Files.writeString(generation, text);
      assertThatThrownBy(() -> DecoderConfig.read(directory), text)
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("generation_config.json: ");
    }
  }
}
