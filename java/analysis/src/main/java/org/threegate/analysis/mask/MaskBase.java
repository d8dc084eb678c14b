package org.threegate.analysis.mask;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/**
 * What identifies the weights that masks are computed from. Digests are SHA-256 in hexadecimal
 * digits, as those of {@link Digests}.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   Pairing matrices = MaskFile.matrices(checkpoint, name -> name.contains("self_attn"));
 *   System.out.println(MaskBase.of(context, checkpoint, matrices, control).sources());
 * }
 * }</pre>
 *
 * @param sources digest of the tensors that the matrices are read from
 * @param checkpoint digest of the whole checkpoint; empty if only some tensors were selected, so
 *     that the rest is not read
 */
public record MaskBase(String sources, Optional<String> checkpoint) {
  /**
   * {@return the tensors whose digests an identity needs, by name}
   *
   * @param checkpoint the open checkpoint
   * @param matrices its selected matrices, see {@link MaskFile#matrices}
   */
  public static Map<String, Tensor> tensors(Checkpoint checkpoint, Pairing matrices) {
    return isWhole(matrices) ? checkpoint.tensors() : sources(matrices);
  }

  /**
   * {@return the identity, from digests that were computed}
   *
   * @param checkpoint the open checkpoint
   * @param matrices its selected matrices
   * @param digests digests of at least {@link #tensors}, by name
   */
  public static MaskBase of(Checkpoint checkpoint, Pairing matrices, Map<String, String> digests) {
    return new MaskBase(
        Digests.combine(sources(matrices), digests),
        isWhole(matrices)
            ? Optional.of(Digests.combine(checkpoint.tensors(), digests))
            : Optional.empty());
  }

  /**
   * Computes the digests and the identity.
   *
   * @param context context that runs the kernels
   * @param checkpoint the open checkpoint
   * @param matrices its selected matrices
   * @param control cancels the computation
   * @return the identity
   */
  public static MaskBase of(
      Context context, Checkpoint checkpoint, Pairing matrices, Control control) {
    Collection<Tensor> tensors = tensors(checkpoint, matrices).values();
    return of(
        checkpoint,
        matrices,
        Digests.byName(context, DigestKind.TENSORS, List.copyOf(tensors), control));
  }

  private static boolean isWhole(Pairing matrices) {
    return matrices.accounting().base().notSelected().isEmpty();
  }

  private static Map<String, Tensor> sources(Pairing matrices) {
    Map<String, Tensor> sources = new LinkedHashMap<>();
    for (WeightPair pair : matrices.pairs()) {
      pair.sources().forEach(tensor -> sources.put(tensor.name(), tensor));
    }
    return sources;
  }

  /** {@return the identity as metadata of a {@link MaskFile}} */
  public Map<String, String> metadata() {
    Map<String, String> metadata = new LinkedHashMap<>();
    checkpoint.ifPresent(digest -> metadata.put("baseSha256", digest));
    metadata.put("sourcesSha256", sources);
    return metadata;
  }
}
