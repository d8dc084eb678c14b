package org.threegate.rl.policy;

import java.util.List;

/**
 * Completes prompts. Trainer, evaluation and study ask an engine and know nothing else about
 * sampling. {@link DecoderEngine} is the one that comes with the library. Others may run in other
 * processes, and answer with weights that are some updates old.
 *
 * <pre>{@code
 * try (CompletionEngine engine = new DecoderEngine(decoder, tokenizer)) {
 *   List<Completion> completions =
 *       engine.complete(
 *           new CompletionRequest(
 *               List.of(tokenizer.encode("12+34=")), SamplingOptions.plain(10, List.of(2)), new long[] {42}, 0));
 * }
 * }</pre>
 */
public interface CompletionEngine extends AutoCloseable {
  /**
   * Completes each prompt of a request. An engine may be called by one thread at a time only.
   *
   * @param request the prompts and how to complete them
   * @return one completion per prompt, in the order of the prompts. The version of each is the one
   *     that sampled it, and at most the version of the request
   * @throws org.threegate.run.InvalidInputException when the engine cannot answer
   */
  List<Completion> complete(CompletionRequest request);

  /** {@return the place of the engine, for errors} */
  default String where() {
    return "the engine of completions";
  }

  @Override
  default void close() {}
}
