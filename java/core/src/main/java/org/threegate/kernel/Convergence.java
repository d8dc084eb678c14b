package org.threegate.kernel;

/**
 * How an iterative fit ended.
 *
 * @param converged whether the fit reached its tolerance; otherwise it allows no conclusion
 * @param imbalance what is left of the equations that the fit solves; its kernel states the unit
 * @param steps number of steps
 */
public record Convergence(boolean converged, double imbalance, long steps) {}
