/**
 * A study that tests the claims of arXiv 2511.08567 on a small model, including its pretraining.
 */
package org.threegate.rl.study;
