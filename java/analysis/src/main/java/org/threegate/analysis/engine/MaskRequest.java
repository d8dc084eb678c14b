package org.threegate.analysis.engine;

import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import org.threegate.analysis.mask.MaskOptions;

/**
 * Masks of all selected matrices of a checkpoint, written to one file.
 *
 * @param base location of the checkpoint
 * @param selected names of the tensors to mask
 * @param options kind and size of the masks
 * @param file where the masks go; it appears when it is complete
 * @param provenance metadata of the file, by the SHA-256 of the checkpoint
 */
public record MaskRequest(
    String base,
    Predicate<String> selected,
    MaskOptions options,
    Path file,
    Function<String, Map<String, String>> provenance) {
  /** Starts a request for all matrices, without metadata. */
  public static Builder builder(String base, MaskOptions options, Path file) {
    return new Builder(base, options, file);
  }

  /** Sets what differs from the defaults. */
  public static final class Builder {
    private final String base;
    private final MaskOptions options;
    private final Path file;
    private Predicate<String> selected = name -> true;
    private Function<String, Map<String, String>> provenance = digest -> Map.of();

    private Builder(String base, MaskOptions options, Path file) {
      this.base = base;
      this.options = options;
      this.file = file;
    }

    public Builder selected(Predicate<String> names) {
      this.selected = names;
      return this;
    }

    public Builder provenance(Function<String, Map<String, String>> byDigest) {
      this.provenance = byDigest;
      return this;
    }

    public MaskRequest build() {
      return new MaskRequest(base, selected, options, file, provenance);
    }
  }
}
