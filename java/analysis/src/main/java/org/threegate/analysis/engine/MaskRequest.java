package org.threegate.analysis.engine;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.threegate.analysis.mask.MaskBase;
import org.threegate.analysis.mask.MaskOptions;
import org.threegate.analysis.pairing.Pairing;

/**
 * A request to write the masks of all selected matrices of a checkpoint to one file.
 *
 * @param base location of the checkpoint
 * @param selected names of the tensors to mask
 * @param options kind and size of the masks
 * @param file output file; it is created atomically once all masks are complete
 * @param provenance metadata of the file; the identity of the base is added
 * @param check called with the matrices before the first mask; may throw to refuse them
 */
public record MaskRequest(
    String base,
    Predicate<String> selected,
    MaskOptions options,
    Path file,
    Map<String, String> provenance,
    Consumer<Pairing> check) {
  /** Copies the metadata, in their order. */
  public MaskRequest {
    provenance = Collections.unmodifiableMap(new LinkedHashMap<>(provenance));
  }

  /**
   * {@return the metadata of the file}
   *
   * @param identity what identifies the weights that the masks are computed from
   */
  public Map<String, String> metadata(MaskBase identity) {
    Map<String, String> metadata = new LinkedHashMap<>(provenance);
    metadata.putAll(identity.metadata());
    return metadata;
  }

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
    private Map<String, String> provenance = Map.of();
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
     * @param metadata keys and values; the identity of the base is added
     * @return this builder
     */
    public Builder provenance(Map<String, String> metadata) {
      this.provenance = metadata;
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
