//! The list: every case by its name, once. A case that is written and not listed is dead code, which the compiler tells.
//!
//! `core` modules are for every executor on which an adapter runs, the `rest` is for the adapter's own.

/// Expands the list: by `@all` and `@core` into tests, by `@cases` into the functions that these call.
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
                a_missing_program_is_an_error_that_lists_every_place
                a_path_that_holds_no_program_is_named
                the_variable_names_the_program
                the_variable_may_not_be_wrong
                the_search_path_leads_to_the_program
                the_installer_s_directory_is_the_last_place
                the_stub_of_npm_leads_to_the_program_beside_it
            }
            rest cancel {
                before_it_is_polled_nothing_is_started
                in_the_queue_nothing_is_waited_for
                while_it_is_prepared
                before_the_first_event
                while_it_answers_what_was_gathered_is_kept
                a_program_that_ignores_it_is_killed
                what_is_told_until_the_end_still_comes
                between_two_tries_there_is_no_other
                while_it_cleans_up_is_too_late
                after_the_end_is_too_late
            }
            rest deadlines {
                whatever_does_not_come_in_time_ends_the_run
                what_was_gathered_until_the_deadline_is_kept
                a_program_that_ignores_sigterm_is_killed
                a_run_within_its_deadlines_is_left_alone
            }
            core dropped {
                before_it_is_polled
                in_the_queue
                before_it_is_prepared
                when_it_is_prepared_to_any_degree
                while_it_is_being_prepared
                before_the_first_event
                while_it_answers
                while_it_is_being_ended
                between_two_tries
                before_it_cleans_up
                while_it_cleans_up
                after_its_end
                futures_are_dropped_like_runs
                by_a_task_that_is_aborted
                by_a_panic
            }
            core ends {
                a_failure_before_the_first_event_is_one_of_the_start
                a_failure_after_an_event_is_a_crash
                a_signal_is_told
                a_crash_from_outside_keeps_what_was_gathered
                a_complete_answer_is_told_with_all_about_the_run
            }
            rest environment {
                the_directory_is_that_of_the_run
                every_run_has_a_mark_of_its_own
                nothing_of_an_opencode_around_it_gets_in
                its_files_are_in_one_directory_that_nobody_else_may_read
                without_isolation_nothing_is_moved
                a_data_directory_of_the_caller_s_is_kept
            }
            rest guardian {
                a_killed_program_leaves_nothing
                a_killed_program_ends_those_that_ignore_signals
                a_program_that_aborts_leaves_nothing
                a_program_that_exits_in_the_middle_leaves_nothing
                a_program_whose_group_is_interrupted_leaves_nothing
                a_program_that_is_killed_while_it_asks_for_the_version_leaves_nothing
                a_run_without_a_guardian_works_and_says_so
                a_guardian_ends_with_its_handle
                a_guardian_that_is_killed_harms_no_run_and_is_replaced
                a_guardian_needs_no_search_path
                a_guardian_knows_nothing_of_what_it_guards_but_where_it_is
            }
            core input {
                the_prompt_arrives_byte_for_byte_and_ends
                a_program_need_not_read_the_prompt
                a_program_may_print_before_it_reads
                a_prompt_that_nobody_reads_holds_no_cancel_up
            }
            rest log {
                is_written_while_the_run_goes_on
                holds_events_as_they_came_for_its_owner_alone
                leaves_types_out
                begins_anew_or_goes_on
                holds_what_is_no_event_as_objects
                that_ends_early_is_an_error_with_the_whole_report
                that_ends_early_is_a_warning_when_the_run_failed_as_well
                of_many_megabytes_holds_everything
                of_two_runs_at_once_has_whole_lines
            }
            rest output {
                a_long_stream_is_not_kept_in_memory
                a_line_may_have_many_megabytes
                a_line_over_the_limit_is_told_and_dropped
                broken_text_is_repaired_and_told
                lines_may_end_as_on_windows_or_be_none
                a_last_line_that_is_cut_off_is_no_complete_answer
                a_last_line_without_its_end_is_whole
                a_program_may_live_on_after_its_output
                a_program_that_does_not_end_after_its_output_is_ended
                what_a_tool_left_running_does_not_hold_the_output_open
                output_that_a_stranger_holds_open_is_read_for_a_while
                any_amount_of_complaints_is_read_and_its_end_is_kept
            }
            rest pacing {
                one_at_a_time_means_until_the_first_event
                a_line_that_is_no_event_is_no_first_event
                an_exit_makes_room_as_well
                so_does_a_start_that_fails
                those_who_leave_the_queue_hold_nobody_up
                whoever_is_next_is_woken
                runs_that_share_data_start_one_at_a_time
                the_user_s_data_is_shared_as_well
                as_many_as_allowed_start_at_once
                by_default_nothing_waits
            }
            rest retry {
                it_is_tried_as_often_as_allowed_and_no_more
                what_failed_before_the_answer_is_not_seen
                what_was_no_event_was_told_before
                nothing_else_is_tried_again
            }
            rest secrets {
                are_not_in_what_is_shown_of_a_run_that_goes_on
                are_not_in_errors_of_runs_that_failed
                are_not_in_errors_of_runs_that_were_not_started
            }
            rest spawn {
                a_missing_directory_is_named
                a_command_that_the_system_refuses_is_named_without_secrets
                a_private_directory_that_cannot_be_made_is_named
                without_its_log_nothing_is_started
                a_configuration_that_cannot_work_starts_nothing
            }
            core stream {
                everything_may_be_spawned
                nothing_is_started_until_it_is_polled
                waiting_may_be_given_up_and_taken_up_again
                both_ways_to_take_events_tell_the_same
                the_outcome_has_what_nobody_took
                what_was_gathered_can_be_seen_at_any_time
                many_run_at_once
                a_run_may_move_to_another_task
                a_program_is_held_back_by_who_does_not_read
            }
            rest tools {
                end_with_a_complete_answer
                end_with_a_cancelled_run
                end_with_a_dropped_run
                end_with_a_killed_program
                end_with_a_run_that_took_too_long
                of_another_run_live_on
            }
            rest version {
                is_told
                is_an_error_when_it_is_none
                is_not_looked_for_in_endless_output
                is_given_up_with_nothing_left
                takes_no_part_in_the_queue
            }
        });
        $crate::conformance_list!(@group $which serve {
            core attach {
                a_server_that_is_too_old_to_tell_its_version_is_taken
                what_is_no_opencode_is_refused
                a_server_that_does_not_answer_is_given_up_at_the_limit
                a_url_is_never_told_with_its_password
            }
            rest dropped {
                by_its_last_clone
                who_watches_it_is_told
                while_it_starts
                while_it_is_being_stopped
            }
            rest failures {
                what_never_gets_ready_is_ended_at_the_limit
                what_is_ready_and_does_not_answer_is_ended_at_the_limit
                what_says_that_it_is_not_healthy_is_not_used
                a_server_that_exits_at_once_is_told_with_all_it_said
                a_port_that_somebody_else_was_faster_to_take_is_replaced
                a_database_in_use_is_tried_again
                what_cannot_be_spoken_to_is_ended
                what_cannot_be_passed_on_starts_nothing
            }
            rest guardian {
                a_killed_program_leaves_no_server
            }
            core stop {
                one_that_swallows_signals_is_asked_twice_and_killed
                busy_sessions_are_aborted_first
                a_server_that_answers_no_more_is_ended_all_the_same
                a_flood_of_output_holds_nothing_up_and_is_not_kept
                one_that_has_ended_by_itself_can_be_stopped
                a_stop_that_was_given_up_can_be_asked_for_again
            }
        });
        $crate::conformance_list!(@group $which turn {
            rest events {
                events_that_come_twice_are_told_once
                what_cannot_be_read_disturbs_nothing
                an_event_over_the_limit_is_looked_up
                who_does_not_take_events_misses_them_and_loses_nothing
                a_late_idle_of_the_turn_before_does_not_end_the_next
            }
            rest looks {
                a_session_whose_messages_cannot_be_listed_is_read_one_by_one
                a_session_that_is_gone_after_a_gap_was_deleted
                a_look_that_is_overtaken_is_looked_again
            }
            core old {
                a_turn_of_an_old_server
                a_gap_of_an_old_server
                a_permission_of_an_old_server_is_answered_where_it_can_be
            }
            rest refusals {
                an_event_stream_for_others_is_no_use_trying_again
                a_wrong_password_is_told_before_anything_else
                an_event_stream_that_fails_at_first_is_opened_later
                a_server_without_the_stream_of_all_directories_is_followed_by_the_other
                a_turn_is_followed_in_the_directory_of_its_session
                a_server_without_any_event_stream_is_told_so
                a_prompt_that_is_refused_is_not_sent_again
                a_prompt_without_a_reply_may_have_come
            }
        });
        $crate::conformance_list!(@group $which real {
            rest aborts {
                a_text_is_cancelled
                a_text_is_aborted
                a_model_that_is_silent_is_cancelled
                a_model_that_is_silent_is_aborted
                a_tool_is_cancelled
                a_tool_is_aborted
                a_wait_for_the_next_try_is_cancelled
                a_wait_for_the_next_try_is_aborted
                a_wait_for_a_permission_is_cancelled
                a_wait_for_a_permission_is_aborted
                a_turn_that_is_cancelled_at_once_is_not_answered_later
                a_turn_that_is_dropped_is_gone_when_the_next_one_begins
                a_turn_ends_with_its_session
            }
            core answers {
                a_text_is_told_as_it_comes
                a_tool_is_called_and_the_next_turn_knows
                a_project_may_take_its_time_to_start
            }
            rest batches {
                jobs_of_all_kinds_share_servers_and_are_written_down
                a_dropped_batch_leaves_nothing
            }
            rest concurrent_permissions {
                one_of_two_is_granted_and_the_other_refused
                a_refusal_takes_the_others_with_it
                somebody_else_may_answer_while_a_handler_thinks
                somebody_else_may_refuse_while_a_handler_thinks
                a_turn_that_asks_can_be_cancelled
            }
            rest lost_asks {
                a_permission_that_was_asked_in_the_gap_is_found
                an_answer_that_was_lost_is_sent_again
                an_answer_whose_receipt_was_lost_counts
            }
            rest lost_calls {
                a_prompt_that_did_not_arrive_is_not_sent_again
                a_prompt_whose_receipt_is_lost_counts
                a_look_that_is_cut_is_looked_again
                an_abort_that_is_cut_is_sent_again
            }
            rest lost_streams {
                cut_twice_in_one_turn
                the_server_is_away_for_a_while
                cut_before_the_session_is_idle
                cut_before_the_prompt_is_told
                cut_while_a_subagent_works
                half_open
            }
            rest permissions {
                what_nobody_decides_is_refused_and_the_turn_ends_there
                once_is_for_one_call
                always_is_for_all_sessions_of_the_directory
                a_handler_can_refuse
                a_refusal_that_says_why_lets_the_turn_go_on
                the_handler_of_a_turn_comes_before_that_of_the_session
                a_handler_that_panics_refuses
                a_directory_outside_of_the_project_is_asked_for
            }
            rest permissions_in_stream {
                an_ask_is_answered_later_by_another_task
                an_ask_that_is_dropped_is_refused
                an_ask_that_is_not_taken_is_refused
                the_handler_of_a_turn_comes_before_its_stream
            }
            rest permissions_of_subagents {
                a_subagent_asks_the_handler_of_the_turn
                what_nobody_grants_a_subagent_ends_it_and_not_the_turn
            }
            rest questions {
                a_handler_chooses_an_option
                several_questions_are_answered_in_order_and_with_any_text
                questions_that_are_dismissed_end_the_turn
                questions_that_nobody_answers_are_dismissed
                a_handler_that_panics_dismisses
                questions_in_the_stream_are_answered_or_dropped
                somebody_else_may_dismiss_while_a_handler_thinks
                a_subagent_asks_the_handler_of_the_turn
            }
            rest run_answers {
                a_plain_answer_comes_with_all_that_is_known_about_it
            }
            rest run_drops {
                a_cancelled_run_ends_with_all_it_started_and_keeps_what_it_gathered
                a_dropped_run_is_gone_with_all_it_started_when_the_drop_returns
            }
            rest run_isolation {
                a_tool_works_in_the_project_with_what_the_run_adds
            }
            rest servers {
                a_server_is_ready_keeps_its_password_and_is_noticed_when_it_is_killed
                a_server_whose_tool_works_leaves_nothing
            }
        });
    };
    (@group cases $group:ident { $($rank:ident $module:ident { $($case:ident)* })* }) => {
        #[allow(missing_docs, reason = "their names say it")]
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
