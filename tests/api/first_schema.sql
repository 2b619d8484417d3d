-- Rows of the first schema, as its service wrote them; values with a colon are told by the test.

INSERT INTO blobs (sha256, bytes, used_at)
VALUES (:picture, :picture_bytes, '2026-01-02 03:04:05.678');

INSERT INTO blobs (sha256, bytes, used_at)
VALUES (:package, :package_bytes, '2026-01-02 03:04:05.678');

INSERT INTO datasets (id, name, description, created_at)
VALUES ('dst_1', 'fish', '', '2026-01-02 03:04:05.678');

INSERT INTO images (id, dataset_id, sha256, name, label, split, width, height, bytes, format, created_at)
VALUES ('img_1', 'dst_1', :picture, '1.png', 'eel', 'valid', 8, 8, :picture_bytes, 'PNG', '2026-01-02 03:04:05.678');

INSERT INTO snapshots (id, dataset_id, sha256, images, created_at)
VALUES ('snp_1', 'dst_1', :package, 1, '2026-01-02 03:04:05.678');

INSERT INTO models (id, name, dataset_id, snapshot_id, training_id, backbone, label_names, recipe, accuracy, bytes, created_at)
VALUES ('mdl_1', 'fish', 'dst_1', 'snp_1', 'trn_1', 'resnet34', '["eel", "tuna"]', '{}', 1.0, :package_bytes, '2026-01-02 03:04:05.678');

INSERT INTO model_files (model_id, name, sha256, bytes)
VALUES ('mdl_1', 'model.safetensors', :package, :package_bytes);

INSERT INTO aliases (name, model_id, updated_at)
VALUES ('production', 'mdl_1', '2026-01-02 03:04:05.678');

INSERT INTO evaluations (id, model_id, dataset_id, snapshot_id, split, metrics, created_at)
VALUES ('evl_1', 'mdl_1', 'dst_1', 'snp_1', 'valid', '{"accuracy": 1.0, "loss": 0.1, "images": 1, "label_names": ["eel", "tuna"], "per_class": [{"label": "eel", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}, {"label": "tuna", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}], "confusion": [[1, 0], [0, 0]]}', '2026-01-02 03:04:05.678');

INSERT INTO evaluation_items (evaluation_id, seq, image_id, name, sha256, true_label, predicted_label, score, loss, probabilities)
VALUES ('evl_1', 0, 'img_1', '1.png', :picture, 'eel', 'eel', 0.75, 0.1, :shares);

INSERT INTO jobs (priority, request, metadata, attempt, max_attempts, unit, completed, total, planned, items_total, items_succeeded, items_errored, version, created_at, started_at, finished_at, status, id, age, kind, dataset_id, result)
VALUES (0, '{"recipe": {}, "name": "fish"}', '{}', 1, 3, 'epochs', 1, 1, TRUE, 1, 1, 0, 4, '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', 'succeeded', 'trn_1', '1', 'training', 'dst_1', '{"model_id": "mdl_1"}');

INSERT INTO jobs (priority, request, metadata, attempt, max_attempts, unit, completed, total, planned, items_total, items_succeeded, items_errored, version, created_at, started_at, finished_at, status, id, age, kind, dataset_id)
VALUES (0, '{}', '{}', 1, 3, 'files', 1, 1, TRUE, 1, 1, 0, 4, '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', 'succeeded', 'imp_1', '2', 'import', 'dst_1');

INSERT INTO jobs (priority, request, metadata, attempt, max_attempts, unit, completed, total, planned, items_total, items_succeeded, items_errored, version, created_at, started_at, finished_at, status, id, age, kind, model_id)
VALUES (0, '{"model": "mdl_1", "label_names": ["eel", "tuna"], "top_k": 2, "threshold": 0.5, "input": {"type": "files"}}', '{}', 1, 3, 'images', 1, 1, TRUE, 1, 1, 0, 4, '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', 'succeeded', 'bat_1', '3', 'batch', 'mdl_1');

INSERT INTO jobs (priority, request, metadata, attempt, max_attempts, unit, completed, total, planned, items_total, items_succeeded, items_errored, version, created_at, started_at, finished_at, status, id, age, kind, model_id)
VALUES (0, '{"model": "mdl_1", "label_names": ["eel", "tuna"], "top_k": 2, "threshold": 0.5, "input": {"type": "files"}}', '{}', 1, 3, 'images', 1, 1, TRUE, 1, 1, 0, 4, '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', 'succeeded', 'prd_1', '4', 'prediction', 'mdl_1');

INSERT INTO jobs (priority, request, metadata, attempt, max_attempts, unit, completed, total, planned, items_total, items_succeeded, items_errored, version, created_at, started_at, finished_at, status, id, age, kind, model_id)
VALUES (0, '{"model": "mdl_1", "label_names": ["eel", "tuna"], "top_k": 2, "threshold": 0.5, "input": {"type": "files"}}', '{}', 1, 3, 'images', 0, 1, TRUE, 1, 0, 0, 4, '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678', NULL, 'queued', 'bat_2', '5', 'batch', 'mdl_1');

INSERT INTO batch_items (job_id, seq, custom_id, sha256)
VALUES ('bat_1', 0, '1.png', :picture);

INSERT INTO batch_items (job_id, seq, custom_id, sha256)
VALUES ('prd_1', 0, '1.png', :picture);

INSERT INTO batch_items (job_id, seq, custom_id, sha256)
VALUES ('bat_2', 0, '1.png', :picture);

INSERT INTO predictions (job_id, seq, label, score, probabilities)
VALUES ('bat_1', 0, 'eel', 0.75, :shares);

INSERT INTO predictions (job_id, seq, label, score, probabilities)
VALUES ('prd_1', 0, 'eel', 0.75, :shares);

INSERT INTO chunks (id, job_id, first_seq, last_seq, status, priority, attempt, max_attempts)
VALUES ('chk_1', 'bat_2', 0, 0, 'queued', 0, 0, 3);

INSERT INTO import_items (job_id, seq, name, verdict, image_id)
VALUES ('imp_1', 0, '1.png', 'accepted', 'img_1');

INSERT INTO job_events (job_id, event, at, attempt, data)
VALUES ('trn_1', 'done', '2026-01-02 03:04:05.678', 1, '{"status": "succeeded"}');

INSERT INTO job_events (job_id, event, at, attempt, data)
VALUES ('imp_1', 'done', '2026-01-02 03:04:05.678', 1, '{"status": "succeeded"}');

INSERT INTO job_events (job_id, event, at, attempt, data)
VALUES ('bat_1', 'done', '2026-01-02 03:04:05.678', 1, '{"status": "succeeded"}');

INSERT INTO job_events (job_id, event, at, attempt, data)
VALUES ('prd_1', 'done', '2026-01-02 03:04:05.678', 1, '{"status": "succeeded"}');
