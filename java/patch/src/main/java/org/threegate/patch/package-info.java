/** Weight patches: what a step changes of stored weights, made, checked, applied. */
package org.threegate.patch;
