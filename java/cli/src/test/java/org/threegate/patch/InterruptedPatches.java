package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Path;
import org.threegate.kernel.Context;
import org.threegate.run.Progress;

/** Writes the journal that an interrupted patch leaves in the directory of a model. */
public final class InterruptedPatches {
  public static final String JOURNAL = PatchInPlace.JOURNAL;

  private InterruptedPatches() {}

  public static void leave(Context context, Path model, Path patch) throws IOException {
    new PatchInPlace(context, model).prepare(patch, DigestPolicy.REQUIRED, Progress.NONE);
  }
}
