package org.threegate.analysis.engine;

import java.nio.file.Path;

/**
 * Where finished tensors are kept until all are, so that another run can continue.
 *
 * @param journal the file that keeps them
 * @param program name and version of the program; another one does not continue the run
 * @param selection text of the selection of tensors, which must be the same
 * @param resume whether to continue from the journal, if there is one
 */
public record Resumption(Path journal, String program, String selection, boolean resume) {}
