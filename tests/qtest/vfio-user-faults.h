/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-user servers that are wrong, late or gone.
 */

#ifndef TESTS_VFIO_USER_FAULTS_H
#define TESTS_VFIO_USER_FAULTS_H

/**
 * vfio_user_faults_add() - add the tests
 * @stock_var: environment variable that names a QEMU which dies of most of
 *     the faults; those tests are skipped if it is not set
 */
void vfio_user_faults_add(const char *stock_var);

#endif
