# Runs a block as SYSTEM, in a task of Windows that is started once and then taken away again: what
# Windows Update and servicing refuse to a session over the network they do for SYSTEM. Needs
# probe.ps1 and tool.ps1.
#
# The block travels in the task itself, as an encoded command: no file is written. What it is given
# and what it answers stand in the registry where administrators alone may write, and nothing of it
# is secret. The task lives on if the session is lost; the next call then finds it and waits for it,
# instead of doing the work twice.

# Below it each task has a key of its own name: Input, Began, Output, Ended.
$SystemTasksKey = 'SOFTWARE\fleetmend\Tasks'

# How long an answer that nobody has fetched is good, hours.
$SystemTaskHours = 3

# Returns what a value of several lines holds, as one text.
function Join-TaskLines($Lines) {
    return (@($Lines) | ForEach-Object { [string]$_ }) -join "`n"
}

# Reads what stands in the task's key; null where there is none.
function Read-SystemTask([string]$Name) {
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($SystemTasksKey + '\' + $Name)
    if ($null -eq $key) { return $null }
    try {
        return [PSCustomObject][ordered]@{
            given = Join-TaskLines $key.GetValue('Input')
            began = [long]$key.GetValue('Began', 0)
            ended = $key.GetValue('Ended') -eq 1
            output = @($key.GetValue('Output', @()))
        }
    } finally {
        $key.Close()
    }
}

# Writes what the block is given and forgets what an earlier one answered.
function Write-SystemTask([string]$Name, [string[]]$Given) {
    [Microsoft.Win32.Registry]::LocalMachine.DeleteSubKey(($SystemTasksKey + '\' + $Name), $false)
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($SystemTasksKey + '\' + $Name)
    try {
        $key.SetValue('Input', [string[]]$Given, [Microsoft.Win32.RegistryValueKind]::MultiString)
        $key.SetValue('Began', [datetime]::UtcNow.ToFileTimeUtc(), [Microsoft.Win32.RegistryValueKind]::QWord)
    } finally {
        $key.Close()
    }
}

# Connects to the task scheduler.
function Get-TaskFolder {
    $service = New-Object -ComObject 'Schedule.Service'
    $service.Connect()
    return [PSCustomObject][ordered]@{ service = $service; folder = $service.GetFolder('\') }
}

# Returns the registered task; null where there is none.
function Find-SystemTask($Scheduler, [string]$Name) {
    # With hidden ones. A name that is not there would be an error.
    foreach ($task in @($Scheduler.folder.GetTasks(1))) {
        if ($task.Name -eq $Name) { return $task }
    }
    return $null
}

# Registers the task and starts it.
function Start-SystemTask($Scheduler, [string]$Name, [scriptblock]$Work) {
    $definition = $Scheduler.service.NewTask(0)
    # By its SID: the name is translated. TASK_LOGON_SERVICE_ACCOUNT, TASK_RUNLEVEL_HIGHEST.
    $definition.Principal.UserId = 'S-1-5-18'
    $definition.Principal.LogonType = 5
    $definition.Principal.RunLevel = 1
    $definition.Settings.Hidden = $true
    $definition.Settings.AllowDemandStart = $true
    $definition.Settings.DisallowStartIfOnBatteries = $false
    $definition.Settings.StopIfGoingOnBatteries = $false
    $definition.Settings.StartWhenAvailable = $false
    # TASK_INSTANCES_IGNORE_NEW
    $definition.Settings.MultipleInstances = 2
    $definition.Settings.ExecutionTimeLimit = 'PT3H'
    # TASK_ACTION_EXEC
    $action = $definition.Actions.Create(0)
    $action.Path = Get-SystemTool 'WindowsPowerShell\v1.0\powershell.exe'
    # The block stands in this script as it is run, and is given its key's name alone.
    $text = '& {' + $Work.ToString() + '} ''' + $SystemTasksKey + '\' + $Name + ''''
    $encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($text))
    $action.Arguments = '-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + $encoded
    # TASK_CREATE_OR_UPDATE
    $task = $Scheduler.folder.RegisterTaskDefinition($Name, $definition, 6, $null, $null, 5)
    [void]$task.Run($null)
}

# Takes the task away, and what stood in the registry.
function Remove-SystemTask($Scheduler, [string]$Name) {
    if ($null -ne (Find-SystemTask $Scheduler $Name)) { $Scheduler.folder.DeleteTask($Name, 0) }
    [Microsoft.Win32.Registry]::LocalMachine.DeleteSubKey(($SystemTasksKey + '\' + $Name), $false)
}

# Runs a block as SYSTEM, or waits for the one that an earlier call has started with the same input,
# and returns its lines; waited says which. The block gets the name of its key below HKLM: it reads
# Input there and writes Output, then Ended. Throws ERROR_BUSY while a task of this name works on
# something else, ERROR_TIMEOUT if it takes too long (it then goes on), ERROR_PROCESS_ABORTED if it
# ended without an answer.
function Invoke-SystemTask([string]$Name, [scriptblock]$Work, [string[]]$Given, [int]$Milliseconds) {
    $scheduler = Get-TaskFolder
    $task = Find-SystemTask $scheduler $Name
    $known = Read-SystemTask $Name
    $same = $null -ne $known -and $known.given -eq (Join-TaskLines $Given)
    # TASK_STATE_QUEUED, TASK_STATE_RUNNING
    $running = $null -ne $task -and @(2, 4) -contains [int]$task.State
    if ($running -and -not $same) { throw (New-Object System.ComponentModel.Win32Exception 170) }
    $fresh = $same -and $known.ended -and
        ([datetime]::UtcNow.ToFileTimeUtc() - $known.began) -lt $SystemTaskHours * 36000000000
    $waited = $running -or $fresh
    if (-not $waited) {
        Write-SystemTask $Name $Given
        Start-SystemTask $scheduler $Name $Work
    }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $idle = 0
    while ($true) {
        $known = Read-SystemTask $Name
        if ($null -ne $known -and $known.ended) {
            Remove-SystemTask $scheduler $Name
            return [PSCustomObject][ordered]@{ waited = $waited; lines = @($known.output) }
        }
        $task = Find-SystemTask $scheduler $Name
        # It takes a moment until a task runs, and one until its answer is seen.
        if ($null -eq $task -or @(2, 4) -notcontains [int]$task.State) { $idle++ } else { $idle = 0 }
        if ($idle -gt 10) {
            Remove-SystemTask $scheduler $Name
            throw (New-Object System.ComponentModel.Win32Exception 1067)
        }
        if ($watch.ElapsedMilliseconds -gt $Milliseconds) { throw (New-Object System.ComponentModel.Win32Exception 1460) }
        Start-Sleep -Seconds 2
    }
}
