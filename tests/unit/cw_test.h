/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TEST_H
#define CW_TEST_H

/* Running CUnit suites: CU_basic_run_tests() reports errors of the framework only, so failures are
 * asked for. */
#include <CUnit/Basic.h>

static inline int cw_test_run(CU_SuiteInfo *suites)
{
	unsigned int failures;

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	return failures != 0;
}

#define CW_SUITE(name, tests)                                                                      \
	{                                                                                          \
		name, NULL, NULL, NULL, NULL, tests                                                \
	}

#endif /* CW_TEST_H */
