package org.threegate.analysis.diff;

/**
 * The number of changed entries of one attention head.
 *
 * @param part projection: {@code q}, {@code k}, {@code v} or {@code o}
 * @param head index of the head
 * @param changed number of changed entries
 * @param total number of entries
 */
public record HeadCount(String part, int head, long changed, long total) {}
