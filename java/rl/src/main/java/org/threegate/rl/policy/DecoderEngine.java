package org.threegate.rl.policy;

import java.util.List;

/**
 * Samples completions from a decoder in this process. It always has the newest weights. It closes
 * neither the decoder nor the tokenizer.
 *
 * <pre>{@code
 * CompletionEngine engine = new DecoderEngine(decoder, tokenizer);
 * }</pre>
 *
 * @param model the decoder
 * @param tokenizer the tokenizer of the model, which finds stop strings
 */
public record DecoderEngine(Decoder model, Tokenizer tokenizer) implements CompletionEngine {
  @Override
  public List<Completion> complete(CompletionRequest request) {
    return Sampler.complete(model, tokenizer, request);
  }

  @Override
  public String where() {
    return model.where();
  }
}
