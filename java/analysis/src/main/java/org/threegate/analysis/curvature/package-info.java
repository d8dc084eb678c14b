/**
 * Curvature: operators for Fisher, Gauss-Newton and Hessian matrices, and probes that estimate
 * their properties with errors.
 */
package org.threegate.analysis.curvature;
