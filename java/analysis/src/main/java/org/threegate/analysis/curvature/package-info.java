/**
 * Curvature: operators that multiply by a Fisher, Gauss-Newton or Hessian matrix, and probes that
 * ask any of them for numbers with their errors.
 */
package org.threegate.analysis.curvature;
