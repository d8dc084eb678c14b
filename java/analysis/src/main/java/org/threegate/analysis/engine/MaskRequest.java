package org.threegate.analysis.engine;

import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.threegate.analysis.mask.MaskOptions;
import org.threegate.analysis.pairing.Pairing;

/**
 * A request to write the masks of all selected matrices of a checkpoint to one file.
 *
 * @param base location of the checkpoint
 * @param selected names of the tensors to mask
 * @param options kind and size of the masks
 * @param file output file; it is created atomically once all masks are complete
 * @param provenance returns the metadata of the file, given the SHA-256 of the checkpoint
 * @param check called with the matrices before the first mask; may throw to refuse them
 */
public record MaskRequest(
    String base,
    Predicate<String> selected,
    MaskOptions options,
    Path file,
    Function<String, Map<String, String>> provenance,
    Consumer<Pairing> check) {
  /**
   * {@return a builder of a request for all matrices, without metadata}
   *
   * @param base location of the checkpoint
   * @param options kind and size of the masks
   * @param file output file
   */
  public static Builder builder(String base, MaskOptions options, Path file) {
    return new Builder(base, options, file);
  }

  /** Builds a request. Values that are not set keep their defaults. */
  public static final class Builder {
    private final String base;
    private final MaskOptions options;
    private final Path file;
    private Predicate<String> selected = name -> true;
    private Function<String, Map<String, String>> provenance = digest -> Map.of();
    private Consumer<Pairing> check = matrices -> {};

    private Builder(String base, MaskOptions options, Path file) {
      this.base = base;
      this.options = options;
      this.file = file;
    }

    /**
     * Sets the names of the tensors to mask.
     *
     * @param names selects tensors by name; the default selects all
     * @return this builder
     */
    public Builder selected(Predicate<String> names) {
      this.selected = names;
      return this;
    }

    /**
     * Sets the metadata of the file.
     *
     * @param byDigest returns the metadata, given the SHA-256 of the checkpoint
     * @return this builder
     */
    public Builder provenance(Function<String, Map<String, String>> byDigest) {
      this.provenance = byDigest;
      return this;
    }

    /**
     * Sets what may refuse the checkpoint before the first mask is computed.
     *
     * @param refusal receives the matrices, and may throw an exception
     * @return this builder
     */
    public Builder check(Consumer<Pairing> refusal) {
      this.check = refusal;
      return this;
    }

    /** {@return the request} */
    public MaskRequest build() {
      return new MaskRequest(base, selected, options, file, provenance, check);
    }
  }
}
