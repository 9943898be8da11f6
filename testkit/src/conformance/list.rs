//! The list of cases. The compiler reports a case that is not listed as dead code.
//!
//! `core` modules run on every executor of an adapter, `rest` modules only on the main executor.

/// Expands the list: `@all` and `@core` into tests, `@cases` into the functions that tests call.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_list {
    (@cases) => {
        $crate::conformance_list!(@list cases);
    };
    (@all) => {
        $crate::conformance_list!(@list all);
    };
    (@core) => {
        $crate::conformance_list!(@list core);
    };
    (@list $which:ident) => {
        $crate::conformance_list!(@group $which run {
            rest binary {
                a_missing_program_is_an_error_with_every_place_searched
                a_path_without_a_program_is_an_error
                opencode_binary_selects_the_program
                a_wrong_opencode_binary_is_an_error
                the_program_is_found_on_the_search_path
                the_directory_of_the_installer_is_searched_last
                the_stub_of_npm_leads_to_the_program_of_the_platform
                a_wrapper_command_runs_the_program
                the_child_of_a_wrapper_command_ends_with_the_run
            }
            rest cancel {
                before_the_first_poll_starts_nothing
                in_the_queue_ends_at_once
                during_preparation_starts_nothing
                before_the_first_event_ends_the_program
                during_the_answer_keeps_partial_results
                kills_a_program_that_ignores_sigterm
                delivers_events_until_the_exit
                between_attempts_starts_no_other
                during_cleanup_is_too_late
                after_the_end_is_too_late
            }
            rest deadlines {
                each_deadline_ends_the_run
                partial_results_are_kept
                a_program_that_ignores_sigterm_is_killed
                a_run_within_its_deadlines_completes
            }
            core dropped {
                before_the_first_poll
                in_the_queue
                before_preparation
                after_every_step_of_preparation
                during_preparation
                before_the_first_event
                during_the_answer
                during_a_cancel
                between_attempts
                before_cleanup
                during_cleanup
                after_the_end
                futures_clean_up_like_streams
                by_an_aborted_task
                by_a_panic
            }
            core ends {
                a_failure_before_the_first_event_is_a_startup_error
                a_failure_after_an_event_is_a_crash
                a_signal_is_reported
                a_killed_program_keeps_partial_results
                a_complete_answer_has_a_full_report
            }
            rest environment {
                the_program_starts_in_the_directory_of_the_run
                every_run_has_a_marker_of_its_own
                variables_of_a_surrounding_opencode_are_removed
                private_files_are_readable_by_their_owner_only
                without_isolation_the_directories_of_the_user_are_used
                a_given_data_directory_is_kept
            }
            rest guardian {
                a_killed_client_leaves_nothing
                a_killed_client_leaves_no_process_that_ignores_signals
                an_aborted_client_leaves_nothing
                a_client_that_exits_during_a_run_leaves_nothing
                a_client_whose_process_group_is_signalled_leaves_nothing
                a_client_killed_during_a_version_check_leaves_nothing
                a_run_without_a_guardian_completes_with_a_warning
                a_guardian_ends_with_its_handle
                a_killed_guardian_harms_no_run_and_is_replaced
                a_client_killed_after_its_guardian_leaves_nothing
                leftovers_of_a_dead_client_and_guardian_are_swept_at_the_next_start
                a_guardian_needs_no_search_path
                a_guardian_inherits_no_environment
            }
            core input {
                the_prompt_arrives_unchanged_and_complete
                a_program_may_ignore_the_prompt
                a_program_may_print_before_reading_the_prompt
                an_unread_prompt_does_not_delay_a_cancel
            }
            rest log {
                is_written_during_the_run
                has_unchanged_events_and_is_readable_by_its_owner_only
                leaves_out_excluded_types
                is_truncated_or_appended_to
                has_diagnostics_and_notices_as_objects
                write_error_fails_the_run_with_its_report
                write_error_is_a_warning_of_a_failed_run
                of_many_megabytes_is_complete
                of_parallel_runs_has_whole_lines
            }
            rest output {
                a_long_stream_is_not_kept_in_memory
                a_line_may_have_many_megabytes
                a_line_over_the_limit_is_dropped_with_a_diagnostic
                invalid_utf8_is_replaced_with_a_diagnostic
                windows_line_ends_and_empty_lines_are_accepted
                a_torn_last_line_is_an_incomplete_answer
                a_last_line_without_a_line_end_counts
                a_program_may_outlive_its_output
                a_program_that_lingers_after_its_output_is_ended
                background_processes_of_tools_do_not_hold_the_output_open
                output_held_open_by_another_process_is_read_until_a_limit
                stderr_of_any_size_is_read_and_its_tail_is_kept
            }
            rest pacing {
                a_start_lasts_until_the_first_event
                a_diagnostic_is_no_first_event
                an_exit_frees_the_slot
                a_failed_start_frees_the_slot
                dropped_runs_leave_the_queue
                the_next_run_is_woken
                runs_with_the_same_data_directory_start_one_at_a_time
                runs_with_the_data_directory_of_the_user_start_one_at_a_time
                as_many_runs_as_allowed_start_at_once
                by_default_no_run_waits
            }
            rest retry {
                a_locked_database_is_retried_up_to_the_limit
                failed_attempts_leave_no_trace_in_the_result
                diagnostics_of_failed_attempts_are_delivered
                other_failures_are_not_retried
            }
            rest secrets {
                are_hidden_in_debug_output_of_a_running_run
                are_hidden_in_errors_of_failed_runs
                are_hidden_in_errors_of_runs_that_did_not_start
            }
            rest spawn {
                a_missing_directory_is_an_error_with_its_path
                a_spawn_error_shows_the_command_without_secrets
                a_private_directory_that_cannot_be_created_is_an_error
                a_log_that_cannot_be_opened_starts_nothing
                an_invalid_configuration_starts_nothing
                a_missing_attachment_starts_nothing
                a_directory_whose_name_opencode_mangles_starts_nothing
                a_stack_trace_is_no_part_of_the_message
                a_file_that_is_no_image_starts_nothing
                a_session_in_a_private_directory_cannot_be_continued
                a_process_without_memory_is_an_error_that_says_so
            }
            core stream {
                futures_and_streams_are_send_and_static
                nothing_starts_before_the_first_poll
                next_event_is_cancel_safe
                next_event_and_poll_next_yield_the_same_events
                the_outcome_includes_unread_events
                the_partial_answer_is_readable_at_any_time
                many_runs_work_in_parallel
                a_run_may_move_to_another_task
                backpressure_holds_the_program_back
            }
            rest shortcuts {
                awaiting_a_stream_returns_the_report
                ask_returns_the_text
                a_text_stream_yields_text_and_then_the_report
                a_text_stream_ends_with_the_error
                another_task_cancels_a_run
            }
            rest tools {
                end_with_a_complete_answer
                end_with_a_cancelled_run
                end_with_a_dropped_run
                end_with_a_killed_program
                end_with_a_timed_out_run
                of_another_run_keep_running
            }
            rest version {
                is_parsed
                is_an_error_when_unparsable
                is_read_from_limited_output
                check_leaves_nothing_when_dropped
                check_ignores_the_start_queue
                check_ends_with_a_cancelled_run
                of_another_line_starts_nothing
                of_another_line_stops_a_batch_at_once
                that_is_missing_starts_nothing
                is_asked_once_for_each_program
                is_in_reports_and_errors
                of_a_server_is_in_reports
                without_a_feature_starts_nothing
                decides_the_spelling_of_flags
                without_metadata_of_sessions_creates_none
            }
        });
        $crate::conformance_list!(@group $which serve {
            core attach {
                a_server_of_another_line_is_refused
                a_server_without_a_number_is_accepted
                another_web_server_is_refused
                a_silent_server_times_out
                passwords_in_urls_are_hidden
                a_server_that_does_not_listen_yet_is_waited_for
                a_server_that_never_listens_is_given_up_with_the_reason
            }
            core pages {
                a_page_is_requested_when_the_page_before_is_read
                an_error_ends_the_pages_after_the_items_before
                a_cursor_that_leads_nowhere_ends_the_pages
            }
            core requests {
                any_request_has_a_status_headers_bytes_and_a_typed_body
                a_body_that_does_not_fit_names_the_field
                an_operation_gives_its_reply_as_sent
                a_directory_or_a_header_of_the_caller_is_used
                options_hold_for_a_handle_and_all_made_from_it
                a_request_that_cannot_be_sent_is_an_error
                a_body_is_read_in_chunks
                a_timeout_and_a_retry_policy_hold_for_a_call
                each_break_of_the_contract_has_an_error_of_its_own
                every_request_has_a_start_and_an_end_for_the_observer
                events_are_known_malformed_or_signs_of_life
                a_lost_event_stream_is_an_error
            }
            rest dropped {
                with_the_last_clone
                a_killed_server_wakes_its_watchers
                during_the_start
                during_a_stop
            }
            rest failures {
                a_server_that_is_never_ready_times_out
                a_ready_server_without_health_replies_times_out
                an_unhealthy_server_is_an_error
                a_server_that_exits_at_once_is_an_error_with_its_output
                a_port_taken_in_the_meantime_is_replaced
                a_locked_database_is_retried
                a_server_with_an_unusable_url_is_ended
                a_missing_directory_starts_nothing
            }
            core floods {
                of_replies_ends_at_the_limit_of_the_call
                of_replies_ends_at_the_start_limit
                of_events_ends_at_the_deadline_of_the_turn
                of_output_ends_at_the_deadline_of_the_run
                of_output_ends_at_the_start_limit_of_the_server
            }
            rest guardian {
                a_killed_client_leaves_no_server
            }
            rest places {
                a_session_that_works_elsewhere_is_deleted
                a_directory_that_a_server_does_not_have_is_refused
                a_server_that_does_not_hear_the_directory_is_refused
                a_name_that_opencode_changes_is_refused_without_a_request
                a_session_of_another_directory_is_not_continued
            }
            core stop {
                a_server_that_ignores_sigterm_is_killed
                busy_sessions_are_aborted_first
                a_server_that_does_not_reply_is_ended
                a_flood_of_output_delays_nothing_and_keeps_its_tail
                a_server_that_exited_can_be_stopped
                a_dropped_stop_can_be_repeated
            }
            core output {
                is_read_while_the_server_starts_and_runs
                is_kept_for_late_readers
                a_busy_start_is_not_given_up
                a_batch_reports_the_progress_of_its_servers
            }
        });
        $crate::conformance_list!(@group $which turn {
            rest events {
                repeated_events_are_delivered_once
                malformed_events_are_skipped
                an_event_over_the_limit_is_recovered_by_a_look
                a_slow_reader_misses_events_but_no_text
                a_late_idle_of_the_previous_turn_does_not_end_the_next
            }
            rest looks {
                messages_that_cannot_be_listed_are_fetched_one_by_one
                a_session_missing_after_a_gap_was_deleted
                a_look_overtaken_by_events_is_repeated
            }
            core old {
                a_turn_completes
                a_gap_is_healed
                a_permission_is_replied_to_on_the_old_route
                an_unknown_agent_is_refused_without_a_prompt
            }
            rest refusals {
                an_unauthorized_event_stream_is_not_retried
                a_wrong_password_is_an_error_of_attach
                a_failing_event_stream_is_retried
                a_missing_global_stream_falls_back_to_the_directory_stream
                a_turn_is_followed_in_the_directory_of_its_session
                a_server_without_event_streams_is_an_error
                a_refused_prompt_is_not_retried
                a_file_that_is_no_image_is_not_posted
                a_prompt_without_a_reply_may_have_arrived
            }
            rest shortcuts {
                awaiting_a_stream_returns_the_outcome
                ask_returns_the_text
                a_text_stream_yields_text_and_then_the_outcome
                a_text_stream_ends_with_the_error
                another_task_cancels_a_turn
                a_handle_cancels_a_turn_before_its_first_poll
            }
        });
        $crate::conformance_list!(@group $which real {
            rest aborts {
                a_streaming_text_is_cancelled
                a_streaming_text_is_aborted
                a_silent_model_is_cancelled
                a_silent_model_is_aborted
                a_running_tool_is_cancelled
                a_running_tool_is_aborted
                a_retry_delay_is_cancelled
                a_retry_delay_is_aborted
                a_pending_permission_is_cancelled
                a_pending_permission_is_aborted
                a_turn_cancelled_at_once_is_not_answered_later
                a_dropped_turn_is_over_before_the_next_begins
                deleting_the_session_ends_the_turn
            }
            core answers {
                a_text_is_streamed
                a_tool_call_is_reported_in_its_turn_only
                creating_a_session_waits_for_slow_plugins
            }
            rest batches {
                jobs_of_all_kinds_share_servers_and_write_results
                a_dropped_batch_leaves_nothing
            }
            rest concurrent_permissions {
                one_of_two_requests_is_granted_and_one_rejected
                a_rejection_takes_no_parallel_call_with_it
                tokens_of_parallel_calls_are_answered_in_any_order
                a_question_and_a_permission_do_not_take_each_other_along
                another_client_grants_while_a_handler_is_pending
                another_client_rejects_while_a_handler_is_pending
                a_turn_with_a_pending_request_can_be_cancelled
            }
            rest follows {
                a_posted_turn_is_followed_by_another_client
                a_turn_that_has_ended_has_the_same_outcome
                the_running_turn_is_found_by_the_session_alone
                asks_from_before_are_answered
                the_ask_of_a_subagent_is_answered
                a_dropped_follow_leaves_the_turn_running
                a_followed_turn_is_aborted_on_request
                a_gap_in_a_followed_turn_is_closed
                unknown_prompts_and_sessions_are_typed
                two_clients_follow_one_turn
            }
            rest left_work {
                handlers_answer_for_subagents_that_a_turn_left
                subagents_without_a_handler_are_refused
                another_client_answers_for_subagents_on_request
                a_follow_takes_the_asks_of_left_work_over
                a_quiet_session_has_the_outcome_of_its_latest_turn
            }
            rest lost_asks {
                a_request_published_in_a_gap_is_found
                a_lost_reply_is_sent_again
                a_reply_without_a_response_counts
            }
            rest lost_calls {
                a_lost_prompt_is_not_sent_again
                a_prompt_without_a_response_counts
                a_broken_look_is_repeated
                a_broken_abort_is_repeated
            }
            rest lost_streams {
                cut_twice_in_one_turn
                unreachable_for_a_while
                cut_before_the_session_is_idle
                cut_before_the_prompt_event
                cut_during_a_subagent
                half_open
            }
            rest permissions {
                a_request_without_a_handler_is_rejected_and_ends_the_turn
                once_grants_one_call
                always_grants_all_sessions_of_the_directory
                a_handler_can_reject
                a_rejection_with_a_message_continues_the_turn
                the_handler_of_the_turn_precedes_that_of_the_session
                a_panicking_handler_rejects
                a_directory_outside_the_project_needs_permission
            }
            rest permissions_in_stream {
                a_token_is_replied_to_by_another_task
                a_dropped_token_rejects
                a_token_that_is_not_taken_rejects
                the_handler_of_the_turn_precedes_its_stream
            }
            rest permissions_of_subagents {
                a_subagent_uses_the_handler_of_the_turn
                a_rejection_ends_the_subagent_and_not_the_turn
            }
            rest questions {
                a_handler_chooses_an_option
                several_questions_are_answered_in_order_and_with_any_text
                dismissed_questions_end_the_turn
                questions_without_a_handler_are_dismissed
                a_panicking_handler_dismisses
                questions_in_the_stream_are_answered_or_dropped
                another_client_dismisses_while_a_handler_is_pending
                a_subagent_uses_the_handler_of_the_turn
            }
            rest run_answers {
                a_plain_answer_has_a_full_report
            }
            rest run_drops {
                a_cancelled_run_ends_its_processes_and_keeps_partial_results
                a_dropped_run_has_ended_its_processes_when_the_drop_returns
            }
            rest run_isolation {
                a_tool_runs_in_the_project_with_the_additions_of_the_run
            }
            rest servers {
                a_server_hides_its_password_and_reports_its_death
                a_server_with_a_running_tool_leaves_nothing
            }
        });
    };
    (@group cases $group:ident { $($rank:ident $module:ident { $($case:ident)* })* }) => {
        #[allow(missing_docs, reason = "the name of a case describes it")]
        pub mod $group {
            $(
                pub mod $module {
                    use $crate::conformance::{$group, CaseFuture, Host};
                    $(
                        pub fn $case(on: &Host) -> CaseFuture<'_> {
                            Box::pin($group::$module::$case(on))
                        }
                    )*
                }
            )*
        }
    };
    (@group $which:ident $group:ident { $($rank:ident $module:ident { $($case:ident)* })* }) => {
        mod $group {
            $($crate::conformance!(@module $which $rank $group $module $($case)*);)*
        }
    };
}
