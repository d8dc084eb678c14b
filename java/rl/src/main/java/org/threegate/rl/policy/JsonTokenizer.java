package org.threegate.rl.policy;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.threegate.checkpoint.InvalidInputException;

/**
 * Text to tokens and back, by the {@code tokenizer.json} of a Hugging Face directory.
 *
 * <pre>{@code
 * try (Tokenizer tokenizer = JsonTokenizer.load(Path.of("base"))) {
 *   int[] prompt = tokenizer.encode("12+34=");
 *   System.out.println(tokenizer.decode(prompt));
 * }
 * }</pre>
 */
public final class JsonTokenizer implements Tokenizer {
  // Nothing is ever fetched: the library is in the jar.
  private static final String OFFLINE = "ai.djl.offline";

  private final HuggingFaceTokenizer tokenizer;

  private JsonTokenizer(HuggingFaceTokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * @throws InvalidInputException when the file is missing or is none
   */
  public static JsonTokenizer load(Path directory) {
    Path path = directory.resolve("tokenizer.json");
    if (!Files.isRegularFile(path)) {
      throw new InvalidInputException(path + ": no such file");
    }
    System.setProperty(OFFLINE, "true");
    UnpackedLibraries.prepareTokenizers();
    try {
      return new JsonTokenizer(
          HuggingFaceTokenizer.newInstance(
              path,
              Map.of("addSpecialTokens", "false", "padding", "false", "truncation", "false")));
    } catch (IOException | RuntimeException e) {
      throw new InvalidInputException(path + ": not a tokenizer: " + e.getMessage(), e);
    }
  }

  @Override
  public int[] encode(String text) {
    return Arrays.stream(tokenizer.encode(text, false, false).getIds())
        .mapToInt(Math::toIntExact)
        .toArray();
  }

  @Override
  public String decode(int[] tokens) {
    return tokenizer.decode(Arrays.stream(tokens).asLongStream().toArray(), false);
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
