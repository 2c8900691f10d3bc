"""The options of TRL's configurations that a recipe's `trainer` block may set, by method.

Options decide how a model learns. What publishes the model or its figures, runs code from elsewhere, resumes from
another folder, or reads another model is none of a recipe's business: such options are not in the lists.
"""

_COMMON = (
    # Length and batches.
    "num_train_epochs max_steps per_device_train_batch_size per_device_eval_batch_size "
    "gradient_accumulation_steps auto_find_batch_size train_sampling_strategy length_column_name data_seed "
    "max_length dataset_num_proc pad_to_multiple_of "
    # The optimiser and its schedule.
    "learning_rate lr_scheduler_type lr_scheduler_kwargs warmup_steps weight_decay adam_beta1 adam_beta2 "
    "adam_epsilon max_grad_norm optim optim_args optim_target_modules label_smoothing_factor "
    "neftune_noise_alpha average_tokens_across_devices disable_dropout router_aux_loss_coef "
    # Precision, memory and speed.
    "bf16 fp16 tf32 bf16_full_eval fp16_full_eval use_cpu full_determinism use_cache gradient_checkpointing "
    "gradient_checkpointing_kwargs activation_checkpointing activation_checkpointing_kwargs "
    "activation_offloading torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps "
    "use_liger_kernel liger_kernel_config dataloader_drop_last dataloader_in_order dataloader_num_workers "
    "dataloader_persistent_workers dataloader_pin_memory dataloader_prefetch_factor skip_memory_metrics "
    "ddp_backend ddp_broadcast_buffers ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph "
    "ddp_timeout "
    # Evaluation and logs.
    "eval_strategy eval_steps eval_delay eval_on_start eval_accumulation_steps batch_eval_metrics "
    "eval_do_concat_batches eval_use_gather_object prediction_loss_only logging_steps logging_strategy "
    "logging_nan_inf_filter include_num_input_tokens_seen report_to run_name project"
)
COMMON_OPTIONS = frozenset(_COMMON.split())
_ONLINE = (
    "beta cache_implementation chat_template_kwargs epsilon epsilon_high generation_batch_size "
    "generation_kwargs log_completions log_unique_prompts mask_truncated_completions max_completion_length "
    "min_p num_completions_to_print num_generations num_generations_eval num_iterations ref_model_mixup_alpha "
    "ref_model_sync_steps repetition_penalty reward_weights shuffle_dataset steps_per_generation "
    "sync_ref_model temperature top_k top_p use_transformers_continuous_batching "
    "transformers_continuous_batching_config use_transformers_paged use_vllm vllm_enable_sleep_mode "
    "vllm_gpu_memory_utilization vllm_max_model_length vllm_tensor_parallel_size"
)
_REFERENCE = (
    "precompute_ref_batch_size precompute_ref_log_probs ref_model_mixup_alpha ref_model_sync_steps "
    "sync_ref_model"
)
METHOD_OPTIONS: dict[str, frozenset[str]] = {
    method: frozenset(options.split())
    for method, options in {
        "sft": "assistant_only_loss chat_template_path completion_only_loss eos_token pad_token loss_type "
        "packing packing_strategy eval_packing padding_free shuffle_dataset truncation_mode",
        "dpo": "beta discopop_tau f_alpha_divergence_coef f_divergence_type label_smoothing ld_alpha "
        f"loss_type loss_weights pad_token padding_free truncation_mode use_weighting {_REFERENCE}",
        "kto": f"beta desirable_weight undesirable_weight loss_type {_REFERENCE}",
        "orpo": "beta padding_value",
        "simpo": "alpha beta cpo_alpha label_smoothing loss_type simpo_gamma",
        "reward": "center_rewards_coefficient chat_template_path eos_token pad_token",
        "grpo": "cast_lm_head_to_fp32 delta entropy_coef entropy_coef_delta entropy_coef_max entropy_coef_min "
        "entropy_target importance_sampling_level loss_type multi_objective_aggregation "
        "off_policy_mask_threshold sapo_temperature_neg sapo_temperature_pos scale_rewards "
        "top_entropy_quantile use_adaptive_entropy use_bias_correction_kl vespo_k_neg vespo_k_pos "
        f"vespo_lambda_neg vespo_lambda_pos vllm_importance_sampling_correction {_ONLINE}",
        "rloo": f"normalize_advantages reward_clip_range {_ONLINE}",
    }.items()
}
# Options of TRL's configurations that its trainers, or ours of them, never read.
_UNREAD = {
    method: frozenset({"label_smoothing_factor"}) for method in METHOD_OPTIONS if method != "sft"
}
_UNREAD["orpo"] |= {"max_completion_length"}  # of models with an encoder
_UNREAD["simpo"] |= {"max_completion_length"}
_UNREAD["kto"] |= {"data_seed", "train_sampling_strategy", "length_column_name"}
_PUBLISHES = ("push_to_hub", "hub_", "trackio_", "log_completions_hub_repo")


def passes_through(option: str, method: str) -> bool:
    """Return whether a recipe of the method may set the option."""
    if option in _UNREAD.get(method, ()):
        return False
    return option in COMMON_OPTIONS or option in METHOD_OPTIONS[method]


def refusal(option: str) -> str:
    """Return why an option that TRL knows is none of a recipe's, and what to do instead."""
    if option.startswith(_PUBLISHES):
        return "would publish from within a recipe; `harness export --push` publishes a checkpoint"
    if option in ("deepspeed", "fsdp", "fsdp_config", "parallelism_config", "accelerator_config"):
        return "is set by `harness train --launch`"
    if option == "trust_remote_code":
        return "would run code of the model's author; no model is loaded that needs it"
    if option in ("load_best_model_at_end", "metric_for_best_model", "greater_is_better"):
        return (
            "would have no effect: the last step is kept, and none is chosen by a score; `harness loop` chooses "
            "among checkpoints by a gate"
        )
    if any(option in unread for unread in _UNREAD.values()):
        return "has no effect on this method"
    if option in ("resume_from_checkpoint", "ignore_data_skip"):
        return "is set by the harness, which resumes a killed run by itself"
    return "is not passed through to TRL"
