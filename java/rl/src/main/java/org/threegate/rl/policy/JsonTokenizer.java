package org.threegate.rl.policy;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * A tokenizer that is defined by the {@code tokenizer.json} of a Hugging Face model directory, and
 * by {@code tokenizer_config.json} where there is one. It is thread-safe.
 *
 * <p>The native tokenizers library aborts the process on some malformed files. Files are therefore
 * validated completely before the library reads them.
 *
 * <pre>{@code
 * try (Tokenizer tokenizer = JsonTokenizer.load(Path.of("base"))) {
 *   int[] prompt = tokenizer.surrounding().around(tokenizer.encode("12+34="));
 *   System.out.println(tokenizer.decode(prompt));
 * }
 * }</pre>
 */
public final class JsonTokenizer implements Tokenizer {
  // The native library is in the jar, so nothing has to be downloaded.
  private static final String OFFLINE = "ai.djl.offline";
  private static final String SETTINGS = "tokenizer_config.json";
  private static final TokenizersLibrary LIBRARY = TokenizersLibrary.LIB;

  private final ReadWriteLock use = new ReentrantReadWriteLock();
  private final Path path;
  private final int longestText;
  private final int mostTokens;
  private final TokenizerSettings settings;
  private final boolean isPairs;
  private final Surrounding surrounding;
  private long handle;

  private JsonTokenizer(Path path, TokenizerFile.Checked file, TokenizerSettings settings) {
    this.path = path;
    this.settings = settings;
    this.isPairs = file.isPairs();
    this.longestText = file.longestText();
    this.mostTokens = file.mostTokens();
    this.handle = LIBRARY.createTokenizerFromString(file.json());
    this.surrounding = file.surrounding();
  }

  /**
   * Loads a tokenizer.
   *
   * @param directory the directory with {@code tokenizer.json}
   * @return the tokenizer
   * @throws InvalidInputException when the file is missing, invalid, or not known to be safe
   */
  public static JsonTokenizer load(Path directory) {
    Path path = directory.resolve("tokenizer.json");
    TokenizerSettings settings = TokenizerSettings.read(directory.resolve(SETTINGS));
    TokenizerFile.Checked file = TokenizerFile.read(path, settings);
    System.setProperty(OFFLINE, "true");
    UnpackedLibraries.prepareTokenizers();
    try {
      LibUtils.checkStatus();
      checkNormalized(path, file);
      return new JsonTokenizer(path, file, settings);
    } catch (InvalidInputException e) {
      throw e;
    } catch (RuntimeException e) {
      throw new InvalidInputException(path + ": not a tokenizer: " + e.getMessage(), e);
    }
  }

  /** Rejects tokens that the normalizer empties: the library would find them within characters. */
  private static void checkNormalized(Path path, TokenizerFile.Checked file) {
    if (file.normalized().isEmpty()) {
      return;
    }
    long normalizer = LIBRARY.createTokenizerFromString(file.normalizer());
    try {
      for (String token : file.normalized()) {
        if (ids(normalizer, token).length == 0 && !token.isEmpty()) {
          throw new InvalidInputException(
              path
                  + ": added_tokens: the normalizer leaves nothing of \""
                  + PrintableText.name(token)
                  + "\"");
        }
      }
    } finally {
      LIBRARY.deleteTokenizer(normalizer);
    }
  }

  private static long[] ids(long tokenizer, String text) {
    long encoding = LIBRARY.encode(tokenizer, text, false);
    try {
      return LIBRARY.getTokenIds(encoding);
    } finally {
      LIBRARY.deleteEncoding(encoding);
    }
  }

  /**
   * Encodes a text.
   *
   * @throws InvalidInputException when the text is too long for this tokenizer, or has characters
   *     without a token
   */
  @Override
  public int[] encode(String text) {
    // Unpaired surrogates become question marks, because the library requires valid Unicode.
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > longestText) {
      throw new InvalidInputException(
          path + ": the text has " + bytes.length + " bytes; the limit is " + longestText);
    }
    String whole = new String(bytes, StandardCharsets.UTF_8);
    return used(() -> Arrays.stream(ids(handle, whole)).mapToInt(Math::toIntExact).toArray());
  }

  @Override
  public Surrounding surrounding() {
    return surrounding;
  }

  /**
   * Decodes tokens.
   *
   * @throws InvalidInputException when there are too many tokens for one call
   */
  @Override
  public String decode(int[] tokens) {
    return decode(tokens, false);
  }

  /**
   * Decodes tokens without special ones. {@code clean_up_tokenization_spaces} counts as in
   * transformers.
   *
   * @throws InvalidInputException when there are too many tokens for one call
   */
  @Override
  public String text(int[] tokens) {
    return settings.cleaned(decode(tokens, true), isPairs);
  }

  private String decode(int[] tokens, boolean withoutSpecial) {
    if (tokens.length > mostTokens) {
      throw new InvalidInputException(
          path + ": " + tokens.length + " tokens; the limit of one call is " + mostTokens);
    }
    if (tokens.length == 0) {
      return "";
    }
    long[] ids = Arrays.stream(tokens).asLongStream().toArray();
    return used(() -> LIBRARY.decode(handle, ids, withoutSpecial));
  }

  private <T> T used(java.util.function.Supplier<T> action) {
    use.readLock().lock();
    try {
      if (handle == 0) {
        throw new IllegalStateException("the tokenizer is closed");
      }
      return action.get();
    } catch (IllegalStateException e) {
      throw e;
    } catch (RuntimeException e) {
      throw new InvalidInputException(path + ": " + e.getMessage(), e);
    } finally {
      use.readLock().unlock();
    }
  }

  @Override
  public void close() {
    use.writeLock().lock();
    try {
      if (handle != 0) {
        LIBRARY.deleteTokenizer(handle);
        handle = 0;
      }
    } finally {
      use.writeLock().unlock();
    }
  }
}
