package org.threegate.rl.policy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.testing.Mutations;

/**
 * Mutated tokenizers, each loaded and used, in a process that may end of it: {@code MODELS
 * DIRECTORY SEED FIRST END}. The number of a case goes to standard output before the case begins.
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

  private TokenizerCases() {}

  public static void main(String[] arguments) throws IOException {
    List<byte[]> models = models(Path.of(arguments[0]));
    Path directory = Path.of(arguments[1]);
    long seed = Long.parseLong(arguments[2]);
    int used = 0;
    for (long i = Long.parseLong(arguments[3]); i < Long.parseLong(arguments[4]); i++) {
      System.out.println(i);
      System.out.flush();
      Random random = new Random(31 * seed + i);
      byte[] model = models.get(random.nextInt(models.size()));
      Files.write(directory.resolve("tokenizer.json"), new Mutations(random).of(model));
      used += use(directory, random) ? 1 : 0;
    }
    System.out.println("used " + used);
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
   * @return whether it could be loaded
   */
  static boolean use(Path directory, Random random) {
    try (JsonTokenizer tokenizer = JsonTokenizer.load(directory)) {
      for (int i = 0; i < 6; i++) {
        String text = text(random);
        try {
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
      throw new AssertionError("not one line that names the file", e);
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
