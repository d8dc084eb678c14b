/** The claims of arXiv 2511.08567 put to the test on a small model, from its pretraining on. */
package org.threegate.rl.study;
