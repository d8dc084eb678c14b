/** Events of a training run, and the interface of their observers. */
package org.threegate.rl.event;
