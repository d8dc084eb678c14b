package org.threegate.rl.event;

/**
 * A metric of a training run with its kind.
 *
 * @param name the name; that of TRL where TRL has the metric
 * @param kind what the value is
 * @param value the value, NaN where there is none
 */
public record Metric(String name, MetricKind kind, double value) {}
