/**
 * Calibration of verdicts: updates whose truth is known, judged as a real update would be.
 *
 * <p>Most of them know nothing of any task. A verdict for or against a claim is then a false one.
 * In others an effect is planted, which has to be found.
 */
package org.threegate.analysis.calibration;
