package org.threegate.rl.observe;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import org.threegate.rl.event.Metric;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;

/**
 * Reports metrics to Micrometer. Each metric is a gauge with its last value. The name gets the
 * prefix {@code threegate.}, and slashes become dots. Gauges have the units of their metrics. Two
 * counters count the taken and the skipped steps.
 *
 * <pre>{@code
 * trainer.run(new MeterObserver(new io.micrometer.core.instrument.simple.SimpleMeterRegistry()));
 * }</pre>
 */
public final class MeterObserver implements TrainingObserver {
  private static final String PREFIX = "threegate.";

  private final MeterRegistry registry;
  private final Map<String, AtomicReference<Double>> values = new ConcurrentHashMap<>();
  private final Counter taken;
  private final Counter skipped;

  /**
   * Creates the observer.
   *
   * @param registry the registry that the gauges and counters are added to
   */
  public MeterObserver(MeterRegistry registry) {
    this.registry = registry;
    this.taken = registry.counter(PREFIX + "steps", "outcome", "taken");
    this.skipped = registry.counter(PREFIX + "steps", "outcome", "skipped");
  }

  @Override
  public void on(TrainingEvent event) {
    if (event instanceof TrainingEvent.StepTaken) {
      taken.increment();
    } else if (event instanceof TrainingEvent.StepSkipped) {
      skipped.increment();
    }
    event.typed().forEach(metric -> gauge(metric).set(metric.value()));
  }

  private AtomicReference<Double> gauge(Metric metric) {
    return values.computeIfAbsent(
        metric.name(),
        own -> {
          AtomicReference<Double> value = new AtomicReference<>(Double.NaN);
          String unit = metric.kind().unit();
          // The registry only references the value weakly; the map keeps it alive.
          Gauge.Builder<AtomicReference<Double>> gauge =
              Gauge.builder(
                  PREFIX + own.replace('/', '.').replace('@', '.'), value, AtomicReference::get);
          (unit.isEmpty() ? gauge : gauge.baseUnit(unit)).register(registry);
          return value;
        });
  }
}
