package org.threegate.analysis.diff;

/**
 * Changed entries of one attention head.
 *
 * @param part {@code q}, {@code k}, {@code v} or {@code o}
 */
public record HeadCount(String part, int head, long changed, long total) {}
