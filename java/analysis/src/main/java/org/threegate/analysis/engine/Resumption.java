package org.threegate.analysis.engine;

import java.nio.file.Path;

/**
 * Settings for resuming an interrupted run from its journal of finished tensors.
 *
 * @param journal file of the journal
 * @param program name and version of the program; a different program or version cannot resume the
 *     run
 * @param selection text of the tensor selection; it must be the same to resume
 * @param resume whether to continue from the journal, if there is one
 */
public record Resumption(Path journal, String program, String selection, boolean resume) {}
