package org.threegate.report;

import java.util.List;

/**
 * How a report was made.
 *
 * @param version version of Threegate
 * @param command options after defaults, enough to repeat the run
 * @param seconds wall-clock time of the run in seconds
 */
public record Provenance(String version, List<String> command, double seconds) {}
