package org.threegate.rl.policy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * The files of a decoder. Each stored tensor is a parameter, is left out with a reason, or is
 * refused.
 *
 * @param config the shape of the model
 * @param parameters the parameters by their names, which the caller closes
 * @param leftOut why other tensors are no parameters, by their names
 */
record DecoderFiles(
    DecoderConfig config, Map<String, Tensor> parameters, Map<String, String> leftOut) {
  private static final long COMPARED_BYTES = 1 << 22;

  /**
   * Reads a Hugging Face model directory.
   *
   * @param type the dtype of the parameters
   * @throws InvalidInputException when the files are missing or damaged, the tensors do not match
   *     config.json, or an entry is not finite
   */
  static DecoderFiles read(Context context, Path directory, ScalarType type) {
    DecoderConfig read = DecoderConfig.read(directory);
    Map<String, Tensor> parameters = new LinkedHashMap<>();
    Map<String, String> leftOut = new LinkedHashMap<>();
    try (Checkpoint files = Checkpoint.open(context, directory)) {
      DecoderConfig config = read.storedAs(files.tensors().keySet());
      requireLayers(config, files);
      requireTiedHead(config, files);
      config
          .parameters()
          .forEach((name, shape) -> parameters.put(name, read(files, name, shape, type)));
      for (String name : files.tensors().keySet()) {
        if (!parameters.containsKey(name)) {
          leftOut.put(
              name,
              reason(config, name)
                  .orElseThrow(
                      () ->
                          new InvalidInputException(
                              directory
                                  + ": tensor \""
                                  + name
                                  + "\" does not belong to a decoder with this config.json")));
        }
      }
      files.check();
      return new DecoderFiles(config, parameters, leftOut);
    } catch (RuntimeException e) {
      parameters.values().forEach(Tensor::close);
      throw e;
    }
  }

  /** Returns why a stored tensor is no parameter; empty if it does not belong to the model. */
  private static Optional<String> reason(DecoderConfig config, String name) {
    if (name.endsWith("rotary_emb.inv_freq")) {
      return Optional.of("it follows from config.json");
    }
    return config.tiedEmbeddings() && name.equals(TensorNames.HEAD)
        ? Optional.of("it is the embedding")
        : config.names().beside(name);
  }

  /**
   * Refuses an output head that differs from the embedding, although the configuration ties them:
   * either may be the trained one.
   */
  private static void requireTiedHead(DecoderConfig config, Checkpoint files) {
    var head = files.tensors().get(TensorNames.HEAD);
    var embedding = files.tensors().get(config.names().embedding());
    if (!config.tiedEmbeddings() || head == null || embedding == null) {
      return;
    }
    boolean same = head.type() == embedding.type() && head.shape().equals(embedding.shape());
    for (long at = 0; same && at < head.bytes(); at += COMPARED_BYTES) {
      long count = Math.min(COMPARED_BYTES, head.bytes() - at);
      same =
          Arrays.equals(
              head.file().buffer().getBytes(head.offset() + at, count),
              embedding.file().buffer().getBytes(embedding.offset() + at, count));
    }
    if (!same) {
      throw new InvalidInputException(
          head.file().path()
              + ": tensor \""
              + TensorNames.HEAD
              + "\" differs from the embedding, though config.json ties them; set"
              + " \"tie_word_embeddings\" to false to use it, or remove it");
    }
  }

  /** Checks that the last layer is there, before memory is allocated for every layer. */
  private static void requireLayers(DecoderConfig config, Checkpoint files) {
    String last = config.names().layer(config.layers().size() - 1, "input_layernorm.weight");
    if (!files.tensors().containsKey(last)) {
      throw new InvalidInputException(
          files.path()
              + ": tensor \""
              + last
              + "\" is missing; config.json says that there are "
              + config.layers().size()
              + " layers");
    }
  }

  private static Tensor read(Checkpoint files, String name, List<Long> shape, ScalarType storedAs) {
    org.threegate.checkpoint.Tensor stored = files.tensors().get(name);
    if (stored == null) {
      throw new InvalidInputException(
          files.path()
              + ": tensor \""
              + name
              + "\" is "
              + (files.tensors().containsKey(name + "_blocks")
                  ? "quantized (MXFP4); convert the model to bf16, with dequantize=True in transformers"
                  : "missing"));
    }
    String where = stored.file().path() + ": tensor \"" + name + "\" ";
    if (!stored.shape().equals(shape)) {
      throw new InvalidInputException(
          where + "has shape " + stored.shape() + "; config.json makes it " + shape);
    }
    return Scopes.own(() -> TensorFiles.read(stored).to(storedAs).requires_grad_(true));
  }
}
